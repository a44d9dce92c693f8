#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/linear_int8_pieces.inl"
#include "../vectors/row_pointers.inl"

// A tile is up to TILE_ROWS rows × VLM_PANEL outputs, whose integer sums are in registers.
enum { TILE_ROWS = 12, THIN_INPUTS = 512, INPUTS = 512, PREFETCH = 2048, STEP_BYTES = VLM_PANEL * 4 };

static inline __m512i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm512_set1_epi32(v);
}

// sums += scale · (x.scale · (dot − zero · x.sum)) with every product rounded.
VLM_INLINE void add_group(const int8_piece *p, __m512i dot[][2], float *sums, const int rows) {
  row_pointers at = row_pointers_at(p->ends, p->end_stride, rows);
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    v_f32 scale = v_load(p->tail->scale + 16 * n);
    __m512i zero = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(p->tail->zero + 16 * n)));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m512i shift = _mm512_mullo_epi32(zero, four(row_pointer(&at, p->end_stride, m, offsetof(vlm_i8_tail, sum))));
      v_f32 x_scale = _mm512_castsi512_ps(four(row_pointer(&at, p->end_stride, m, offsetof(vlm_i8_tail, scale))));
      v_f32 product = v_mul(v_mul(_mm512_cvtepi32_ps(_mm512_sub_epi32(dot[m][n], shift)), x_scale), scale);
      float *sum = sums + m * VLM_PANEL + 16 * n;
      v_store(sum, v_add(p->is_first ? v_zero() : v_load(sum), product));
    }
  }
}

VLM_INLINE void tile(const int8_piece *p, float *sums, const bool is_far, const int rows) {
  row_pointers at = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *w = p->w;
  __m512i dot[TILE_ROWS][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) dot[m][n] = p->carries ? _mm512_loadu_si512(sums + m * VLM_PANEL + 16 * n) : _mm512_setzero_si512();
  for (int64_t k = 0; k < p->inputs; k += 16, row_pointers_advance(&at, 16, rows)) {
    const uint8_t *turn = w;
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++, w += STEP_BYTES) {
      __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
      if (asks_ahead(is_far, rows)) stream_part(turn, i, &p->stream, is_far);
#pragma clang loop unroll(full)
      for (int m = 0; m < rows; m++) {
        __m512i value = four(row_pointer(&at, p->x_stride, m, 4 * i));
        dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], w0, value);
        dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], w1, value);
      }
    }
  }
  if (p->tail) {
    for (int part = 0; asks_ahead(is_far, rows) && part < 2; part++) stream_ahead(w + part * FAR_PART, &p->stream, is_far);
    add_group(p, dot, sums, rows);
    return;
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) _mm512_storeu_si512(sums + m * VLM_PANEL + 16 * n, dot[m][n]);
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define DEFINE(R) \
  static __attribute__((noinline)) void near_##R(const int8_piece *p, float *sums) { tile(p, sums, false, R); } \
  static __attribute__((noinline)) void far_##R(const int8_piece *p, float *sums) { tile(p, sums, true, R); }
TILES(DEFINE)
#undef DEFINE
#define NEAR(R) near_##R,
#define FAR(R) far_##R,
static int8_tile_fn *const tiles[][TILE_ROWS] = {{TILES(NEAR)}, {TILES(FAR)}};
#undef NEAR
#undef FAR

// The rows of one tile stay in registers for all inputs; those of several visit a piece while it is in the first cache.
static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  int8_block(a, b, &(int8_plan){.tiles = tiles[a->is_far], .tile_rows = TILE_ROWS, .inputs = a->rows <= TILE_ROWS ? a->inputs : THIN_INPUTS,
                                .ahead = PREFETCH});
}

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  int8_block(a, b, &(int8_plan){.tiles = tiles[0], .tile_rows = TILE_ROWS, .inputs = INPUTS});
}

void vlm_linear_int8_int8_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
#pragma clang attribute pop
#endif
