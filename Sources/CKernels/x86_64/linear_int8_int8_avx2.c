#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/linear_int8_pieces.inl"
#include "../vectors/row_pointers.inl"

// Products are of 16 bits, since two of 8 bits would not fit in 16: of each step of four inputs the first and the third are one pair, the
// second and the fourth another, in weights by a mask and a shift, in rows beforehand.
enum { X_BYTES = 2, THIN_INPUTS = 256, INPUTS = 128 };
#include "linear_int8_int8_256.inl"

VLM_INLINE void add_step(const uint8_t *w, const row_pointers *at, int64_t stride, __m256i dot[][VECTORS], const int rows, const int vectors) {
  const __m256i low = _mm256_set1_epi16(255);
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    __m256i v[VECTORS];
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) {
      v[n] = _mm256_load_si256((const void *)(w + 32 * n));
      v[n] = i == 0 ? _mm256_and_si256(v[n], low) : _mm256_srli_epi16(v[n], 8);
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m256i value = four(row_pointer(at, stride, m, 4 * i));
#pragma clang loop unroll(full)
      for (int n = 0; n < vectors; n++) {
        dot[m][n] = _mm256_add_epi32(dot[m][n], _mm256_madd_epi16(v[n], value));
        // Sums in another order take more registers than there are.
        __asm__("" : "+x"(dot[m][n]));
      }
    }
  }
}

// The block's rows as numbers of 16 bits, the second and third of four changed over: [rows][k_count] at `y`.
static void widen(const vlm_linear_args *a, const linear_block *b, int16_t *y) {
  const int64_t row_bytes = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
  for (int64_t k = b->k, count; k < b->k + b->k_count; k += count, y += count) {
    const int64_t group = k / a->group, offset = k % a->group;
    count = vlm_min(a->group - offset, b->k + b->k_count - k);
    const char *q = (const char *)a->packed + group * vlm_i8_group_bytes(a->group) + offset;
    for (int64_t t = 0; t < a->rows; t++, q += row_bytes)
      for (int64_t i = 0; i < count; i += 16) {
        __m256i numbers = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(q + i)));
        _mm256_store_si256((void *)(y + t * b->k_count + i), _mm256_shuffle_epi8(numbers, order));
      }
  }
}

static void block(const vlm_linear_args *a, const linear_block *b, bool is_far, int64_t ahead) {
  if (b->is_first) widen(a, b, (int16_t *)b->weights);
  int8_block(a, b, &(int8_plan){.tiles = tiles[is_far], .tile_rows = TILE_ROWS, .inputs = b->k_count, .x = b->weights, .x_bytes = 2, .ahead = ahead});
}

static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  block(a, b, a->is_far, a->rows <= 2 ? PREFETCH : THIN_INPUTS * VLM_PANEL);
}
static void tall_block(const vlm_linear_args *a, const linear_block *b) { block(a, b, false, 0); }

void vlm_linear_int8_int8_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, THIN_INPUTS});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
#pragma clang attribute pop
#endif
