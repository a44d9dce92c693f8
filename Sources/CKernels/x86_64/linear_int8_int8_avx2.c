#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "math_body.inl"
#include "linear_blocks.inl"
#include "linear_int8_pieces.inl"
#include "row_pointers.inl"

// A tile is up to TILE_ROWS rows × 16 outputs, or two rows × 32. Products are of 16 bits, since two of 8 bits would not fit in 16: of each step of four inputs
// the first and the third are one pair, the second and the fourth another, in weights by a mask and a shift, in rows beforehand.
enum { TILE_ROWS = 6, VECTORS = VLM_PANEL / 8, THIN_ROWS = 24, THIN_INPUTS = 256, INPUTS = 128, PREFETCH = 2048, STEP_BYTES = VLM_PANEL * 4 };

static inline __m256i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm256_set1_epi32(v);
}

// sums += scale · (x.scale · (dot − zero · x.sum)) with every product rounded, of the outputs from `first` on.
VLM_INLINE void add_group(const int8_piece *p, __m256i dot[][VECTORS], const int first, float *sums, const int rows, const int vectors) {
  row_pointers at = row_pointers_at(p->ends, p->end_stride, rows);
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) {
    const int o = first + 8 * n;
    v_f32 scale = v_load(p->tail->scale + o);
    __m256i zero = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(p->tail->zero + o)));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m256i shift = _mm256_mullo_epi32(zero, four(row_pointer(&at, p->end_stride, m, offsetof(vlm_i8_tail, sum))));
      v_f32 x_scale = _mm256_castsi256_ps(four(row_pointer(&at, p->end_stride, m, offsetof(vlm_i8_tail, scale))));
      v_f32 product = v_mul(v_mul(_mm256_cvtepi32_ps(_mm256_sub_epi32(dot[m][n], shift)), x_scale), scale);
      float *sum = sums + m * VLM_PANEL + o;
      v_store(sum, v_add(p->is_first ? v_zero() : v_load(sum), product));
    }
  }
}

// Outputs first ..< first + 8 · vectors.
VLM_INLINE void part(const int8_piece *p, const int first, float *sums, const int rows, const int vectors) {
  const __m256i low = _mm256_set1_epi16(255);
  row_pointers at = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *w = p->w + 4 * first;
  __m256i dot[TILE_ROWS][VECTORS];
  sums += first;
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++)
      dot[m][n] = p->carries ? _mm256_loadu_si256((const void *)(sums + m * VLM_PANEL + 8 * n)) : _mm256_setzero_si256();
#pragma clang loop unroll(disable)
  for (int64_t k = 0; k < p->inputs; k += 4, w += STEP_BYTES, row_pointers_advance(&at, 8, rows)) {
#pragma clang loop unroll(full)
    for (int line = 0; line < vectors; line += 2) _mm_prefetch((const char *)w + 32 * line + p->ahead, _MM_HINT_T0);
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
        __m256i value = four(row_pointer(&at, p->x_stride, m, 4 * i));
#pragma clang loop unroll(full)
        for (int n = 0; n < vectors; n++) {
          dot[m][n] = _mm256_add_epi32(dot[m][n], _mm256_madd_epi16(v[n], value));
          // Sums in another order take more registers than there are.
          __asm__("" : "+x"(dot[m][n]));
        }
      }
    }
  }
  if (p->tail) {
    add_group(p, dot, first, sums - first, rows, vectors);
    return;
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) _mm256_storeu_si256((void *)(sums + m * VLM_PANEL + 8 * n), dot[m][n]);
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define DEFINE(R) \
  static __attribute__((noinline)) void tile_##R(const int8_piece *p, float *sums) { \
    for (int first = 0; first < VLM_PANEL; first += R <= 2 ? 32 : 16) part(p, first, sums, R, R <= 2 ? 4 : 2); \
  }
TILES(DEFINE)
#undef DEFINE
#define NAME(R) tile_##R,
static int8_tile_fn *const tiles[] = {TILES(NAME)};
#undef NAME

// The block's rows as numbers of 16 bits, the second and third of four changed over: [rows][k_count] at `y`.
static void widen(const vlm_linear_args *a, const linear_block *b, int16_t *y) {
  const int64_t row_bytes = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
  for (int64_t k = b->k, count; k < b->k + b->k_count; k += count, y += count) {
    const int64_t group = k / a->group, offset = k % a->group;
    count = vlm_min(a->group - offset, b->k + b->k_count - k);
    const char *q = (const char *)a->packed + b->row * row_bytes + group * vlm_i8_group_bytes(a->group) + offset;
    for (int64_t t = 0; t < b->rows; t++, q += row_bytes)
      for (int64_t i = 0; i < count; i += 16) {
        __m256i numbers = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(q + i)));
        _mm256_store_si256((void *)(y + t * b->k_count + i), _mm256_shuffle_epi8(numbers, order));
      }
  }
}

static void block(const vlm_linear_args *a, const linear_block *b, int64_t ahead) {
  if (b->is_first) widen(a, b, (int16_t *)b->weights);
  int8_block(a, b, &(int8_plan){.tiles = tiles, .tile_rows = TILE_ROWS, .inputs = b->k_count, .x = b->weights, .x_bytes = 2, .ahead = ahead});
}

static void thin_block(const vlm_linear_args *a, const linear_block *b) { block(a, b, b->rows <= 2 ? PREFETCH : THIN_INPUTS * VLM_PANEL); }
static void tall_block(const vlm_linear_args *a, const linear_block *b) { block(a, b, 0); }

void vlm_linear_int8_int8_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, THIN_INPUTS});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
#pragma clang attribute pop
#endif
