#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c"))), apply_to = function)
#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/row_pointers.inl"
#include "../vectors/linear_thin.inl"

#include "../vectors/linear_floats.inl"
#include "pairs_f8_avx512bf16.h"

enum { TILE_ROWS = 12, INPUTS = 1024 };

VLM_INLINE void add_pairs(const row_pointers *x, int64_t x_stride, const int offset, __m512bh w0, __m512bh w1, v_f32 sum[][2], const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    int32_t pair;
    __builtin_memcpy(&pair, row_pointer(x, x_stride, m, offset), 4);
    __m512bh value = (__m512bh)_mm512_set1_epi32(pair);
    sum[m][0] = _mm512_dpbf16_ps(sum[m][0], value, w0);
    sum[m][1] = _mm512_dpbf16_ps(sum[m][1], value, w1);
  }
}

VLM_INLINE void step(const row_pointers *x, int64_t x_stride, const int offset, const uint32_t *w, v_f32 sum[][2], const int rows) {
  add_pairs(x, x_stride, offset, (__m512bh)_mm512_loadu_si512(w), (__m512bh)_mm512_loadu_si512(w + 16), sum, rows);
}

// Adds a run of pairs to the sums of up to 12 rows.
VLM_INLINE void tile(const uint16_t *x, int64_t x_stride, const uint32_t *w, int64_t pairs, float *sums,
                                                       const bool accumulate, const int rows) {
  v_f32 sum[12][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) sum[m][n] = accumulate ? v_load(sums + m * VLM_PANEL + n * 16) : v_zero();
  int64_t stride = x_stride * (int64_t)sizeof *x;
  row_pointers at = row_pointers_at(x, stride, rows);
  while (pairs >= 4) {
    row_pointers_prefetch(&at, stride, 128, rows);
    for (int64_t line = vlm_min(pairs / 4, 4); line > 0; line--, pairs -= 4, row_pointers_advance(&at, 16, rows)) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++, w += VLM_PANEL) step(&at, stride, 4 * i, w, sum, rows);
    }
  }
  for (; pairs > 0; pairs--, w += VLM_PANEL, row_pointers_advance(&at, 4, rows)) step(&at, stride, 0, w, sum, rows);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) v_store(sums + m * VLM_PANEL + n * 16, sum[m][n]);
}

// Adds a run of pairs of a panel that comes from memory to the sums of up to 12 rows.
VLM_INLINE void thin_run(const thin_piece *p, float *sums, const bool is_far, const int rows) {
  v_f32 sum[12][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) sum[m][n] = v_load(sums + m * VLM_PANEL + n * 16);
  row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
  const uint32_t *w = p->weights;
  int64_t left = p->units;
  for (; left >= 4; left -= 4, row_pointers_advance(&x, 16, rows)) {
    const uint32_t *turn = w;
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++, w += VLM_PANEL) {
      if (asks_ahead(is_far, rows)) stream_part(turn, i, &p->stream, is_far);
      step(&x, p->x_stride, 4 * i, w, sum, rows);
    }
  }
  for (; left > 0; left--, w += VLM_PANEL, row_pointers_advance(&x, 4, rows)) {
    if (asks_ahead(is_far, rows)) stream_ahead(w, &p->stream, is_far);
    step(&x, p->x_stride, 0, w, sum, rows);
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) v_store(sums + m * VLM_PANEL + n * 16, sum[m][n]);
}

// Adds a run of F8 blocks to the sums of up to 12 rows.
VLM_INLINE void thin_f8(const thin_piece *p, float *sums, const int rows) {
  v_f32 sum[12][2];
  __m512bh pairs[2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) sum[m][n] = v_load(sums + m * VLM_PANEL + n * 16);
  row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *codes = p->weights;
  for (int64_t unit = 0; unit < p->units; unit++) {
    const float *scales = (const float *)codes;
    fetch(codes, p->stream.ahead);
    fetch(codes + 64, p->stream.ahead);
    f8_table table;
    const bool has_table = f8_table_of(scales, &table);
    codes += VLM_F8_SCALE_BYTES;
    int64_t left = p->group;
    for (; left >= 4; left -= 4, codes += 4 * VLM_PANEL, row_pointers_advance(&x, 8, rows)) {
      fetch(codes, p->stream.ahead);
      fetch(codes + 64, p->stream.ahead);
#pragma clang loop unroll(full)
      for (int j = 0; j < 4; j += 2) {
        if (has_table) f8_table_pairs(codes, &table, j, pairs);
        else f8_pairs(codes, scales, j, true, pairs);
        add_pairs(&x, p->x_stride, 2 * j, pairs[0], pairs[1], sum, rows);
      }
    }
    for (; left > 0; left -= 2, codes += 2 * VLM_PANEL, row_pointers_advance(&x, 4, rows)) {
      f8_pairs(codes, scales, 0, left > 1, pairs);
      add_pairs(&x, p->x_stride, 0, pairs[0], pairs[1], sum, rows);
    }
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) v_store(sums + m * VLM_PANEL + n * 16, sum[m][n]);
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define DEFINE(R) \
  static __attribute__((noinline)) void tile_##R(const uint16_t *x, int64_t x_stride, const uint32_t *w, int64_t pairs, float *sums, \
                                                 bool accumulate) { \
    tile(x, x_stride, w, pairs, sums, accumulate, R); \
  } \
  static __attribute__((noinline)) void near_##R(const thin_piece *p, float *sums) { thin_run(p, sums, false, R); } \
  static __attribute__((noinline)) void far_##R(const thin_piece *p, float *sums) { thin_run(p, sums, true, R); } \
  static __attribute__((noinline)) void thin_f8_##R(const thin_piece *p, float *sums) { thin_f8(p, sums, R); }
TILES(DEFINE)
#undef DEFINE

#define NEAR(R) near_##R,
#define FAR(R) far_##R,
#define THIN_F8(R) thin_f8_##R,
static thin_run_fn *const thin_runs[][TILE_ROWS] = {{TILES(NEAR)}, {TILES(FAR)}}, *const f8_runs[] = {TILES(THIN_F8)};
#undef NEAR
#undef FAR
#undef THIN_F8

static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  int64_t stride = vlm_bf16_row(a->inputs), pairs = vlm_ceil_div(a->inputs, 2);
  thin_layer layer = {.x = (const uint16_t *)a->packed, .x_stride = stride * 2, .x_unit = 4,
                      .weights = (const uint32_t *)a->weight + b->panel * pairs * VLM_PANEL, .unit_bytes = VLM_PANEL * 4, .units = pairs, .pass = TILE_ROWS};
  thin_panel(a, &layer, b, thin_runs[a->is_far]);
}

static void thin_block_f8(const vlm_linear_args *a, const linear_block *b) {
  thin_layer layer = thin_f8_layer(a, b, TILE_ROWS);
  layer.x = (const uint16_t *)a->packed;
  layer.x_stride = vlm_bf16_row(a->inputs) * 2;
  layer.x_unit = a->group * 2;
  thin_panel(a, &layer, b, f8_runs);
}

// `next` are the packed weights that come after, `bytes` of them.
static void multiply_tall(const vlm_linear_args *a, const linear_block *b, const uint32_t *w, const void *next, int64_t bytes) {
  int64_t stride = vlm_bf16_row(a->inputs);
  for (int64_t t = 0; t < a->rows; t += TILE_ROWS) {
    const uint16_t *x = (const uint16_t *)a->packed + t * stride + b->k;
    float *sums = b->sums + t * VLM_PANEL;
    linear_prefetch(a, next, bytes, t, TILE_ROWS);
    switch (vlm_min(TILE_ROWS, a->rows - t)) {
#define CASE(R) case R: tile_##R(x, stride, w, vlm_ceil_div(b->k_count, 2), sums, b->accumulate); break;
      TILES(CASE)
#undef CASE
      default: break;
    }
  }
}

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  int64_t pairs = vlm_ceil_div(a->inputs, 2);
  const uint32_t *w = (const uint32_t *)a->weight + (b->panel * pairs + b->k / 2) * VLM_PANEL;
  multiply_tall(a, b, w, w + pairs * VLM_PANEL, b->k_count / 2 * VLM_PANEL * 4);
}

// F8 blocks → pairs of bf16.
static void tall_block_f8(const vlm_linear_args *a, const linear_block *b) {
  const uint8_t *first = f8_blocks(a, b->panel, b->k);
  f8_inputs inputs = f8_inputs_at(first, b->k_count, a->group);
  unpack_f8(&inputs, b->k_count, (uint32_t *)b->weights);
  const int64_t bytes = vlm_ceil_div(b->k_count, a->group) * vlm_f8_block_bytes(a->group);
  multiply_tall(a, b, (const uint32_t *)b->weights, first + vlm_panel_bytes(VLM_WEIGHT_F8, a->inputs, a->group), bytes);
}

void vlm_linear_bf16_bf16_12x32_avx512bf16(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}

void vlm_linear_f8_bf16_12x32_avx512bf16(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, thin_block_f8, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block_f8, (linear_cut){LINEAR_PANELS, INPUTS});
}
#pragma clang attribute pop
#endif
