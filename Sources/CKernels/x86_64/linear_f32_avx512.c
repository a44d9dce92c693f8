#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#include "simd_avx512.h"
#include "math_body.inl"
#define GEMM_ROWS 12
#define GEMM_CASES_12(DO) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#include "gemm_body.inl"
#include "linear_blocks.inl"

static inline void v_split_bf16(const uint32_t *w, float *even, float *odd) {
  __m512i pair = _mm512_loadu_si512(w);
  _mm512_storeu_si512(even, _mm512_slli_epi32(pair, 16));
  _mm512_storeu_si512(odd, _mm512_and_si512(pair, _mm512_set1_epi32((int)0xffff0000)));
}

// 8 inputs of 16 outputs; rows of y are VLM_PANEL apart.
static inline void v_split_int4(const uint8_t *w, v_f32 scale, v_f32 zero, float *y) {
  __m512i v = _mm512_loadu_si512(w), low = _mm512_set1_epi32(15);
#pragma clang loop unroll(full)
  for (int j = 0; j < 8; j++) {
    __m512i q = _mm512_and_si512(_mm512_srli_epi32(v, (unsigned)(j < 4 ? 8 * j : 8 * (j - 4) + 4)), low);
    v_store(y + j * VLM_PANEL, v_mul(v_sub(_mm512_cvtepi32_ps(q), zero), scale));
  }
}

#include "linear_f32_body.inl"

#include "linear_thin.inl"

// Inputs k and k + 1 of a panel.
typedef struct {
  v_f32 even[2], odd[2];
} weight_pair;

VLM_INLINE weight_pair pair_bf16(const uint32_t *w) {
  const __m512i high = _mm512_set1_epi32((int)0xffff0000);
  __m512i p0 = _mm512_loadu_si512(w), p1 = _mm512_loadu_si512(w + 16);
  return (weight_pair){{_mm512_castsi512_ps(_mm512_slli_epi32(p0, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(p1, 16))},
                       {_mm512_castsi512_ps(_mm512_and_si512(p0, high)), _mm512_castsi512_ps(_mm512_and_si512(p1, high))}};
}

VLM_INLINE weight_pair pair_f32(const uint32_t *w) {
  const float *f = (const float *)w;
  return (weight_pair){{v_load(f), v_load(f + 16)}, {v_load(f + VLM_PANEL), v_load(f + VLM_PANEL + 16)}};
}

VLM_INLINE void thin_pair(const row_pointers *x, int64_t stride, weight_pair w, v_f32 sum[][2], const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    v_f32 even = v_set1(*(const float *)row_pointer(x, stride, m, 0)), odd = v_set1(*(const float *)row_pointer(x, stride, m, 4));
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) sum[m][n] = v_fma(odd, w.odd[n], v_fma(even, w.even[n], sum[m][n]));
  }
}

// Adds a run of pairs of inputs of bf16 or f32 weights to the sums of up to 12 rows, in the order of the inputs.
VLM_INLINE void thin_run(const thin_piece *p, float *sums, const bool bf16, const int rows) {
  v_f32 sum[12][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) sum[m][n] = v_load(sums + m * VLM_PANEL + n * 16);
  row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
  const int words = bf16 ? VLM_PANEL : 2 * VLM_PANEL;  // 32-bit words of a pair
  const uint32_t *w = p->weights;
  for (int64_t i = 0; i < p->units; i++, w += words, row_pointers_advance(&x, 8, rows)) {
#pragma clang loop unroll(full)
    for (int line = 0; line < words; line += 16) _mm_prefetch((const char *)(w + line) + p->ahead, _MM_HINT_T0);
    thin_pair(&x, p->x_stride, bf16 ? pair_bf16(w) : pair_f32(w), sum, rows);
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) v_store(sums + m * VLM_PANEL + n * 16, sum[m][n]);
}

#define THIN_DEFINE(R) \
  static __attribute__((noinline)) void thin_bf16_##R(const thin_piece *p, float *sums) { thin_run(p, sums, true, R); } \
  static __attribute__((noinline)) void thin_f32_##R(const thin_piece *p, float *sums) { thin_run(p, sums, false, R); }
GEMM_CASES(THIN_DEFINE)
#undef THIN_DEFINE

#define THIN_BF16(R) thin_bf16_##R,
#define THIN_F32(R) thin_f32_##R,
static thin_run_fn *const bf16_runs[] = {GEMM_CASES(THIN_BF16)}, *const f32_runs[] = {GEMM_CASES(THIN_F32)};
#undef THIN_BF16
#undef THIN_F32

// Adds a run of int4 groups to the sums of up to 6 rows; weights become (q − zero) · scale as they do for many rows.
VLM_INLINE void thin_groups(const thin_piece *p, float *sums, const int rows) {
  v_f32 sum[6][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) sum[m][n] = v_load(sums + m * VLM_PANEL + n * 16);
  row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *w = p->weights;
  const __m512i low = _mm512_set1_epi32(15);
  for (int64_t unit = 0; unit < p->units; unit++) {
    const uint16_t *tail = (const uint16_t *)(w + p->group * VLM_PANEL / 2);
    const v_f32 scale[2] = {v_from_f16(tail), v_from_f16(tail + 16)}, zero[2] = {v_from_f16(tail + VLM_PANEL), v_from_f16(tail + VLM_PANEL + 16)};
    for (int64_t step = 0; step < p->group; step += 8, w += VLM_PANEL * 4, row_pointers_advance(&x, 32, rows)) {
      const __m512i v[2] = {_mm512_loadu_si512(w), _mm512_loadu_si512(w + 64)};
      _mm_prefetch((const char *)w + p->ahead, _MM_HINT_T0);
      _mm_prefetch((const char *)w + p->ahead + 64, _MM_HINT_T0);
#pragma clang loop unroll(full)
      for (int j = 0; j < 8; j++) {
        v_f32 weight[2];
#pragma clang loop unroll(full)
        for (int n = 0; n < 2; n++) {
          __m512i q = _mm512_and_si512(_mm512_srli_epi32(v[n], (unsigned)(j < 4 ? 8 * j : 8 * (j - 4) + 4)), low);
          weight[n] = v_mul(v_sub(_mm512_cvtepi32_ps(q), zero[n]), scale[n]);
        }
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) {
          v_f32 value = v_set1(*(const float *)row_pointer(&x, p->x_stride, m, 4 * j));
#pragma clang loop unroll(full)
          for (int n = 0; n < 2; n++) sum[m][n] = v_fma(value, weight[n], sum[m][n]);
        }
      }
    }
    w += VLM_PANEL * 4;
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) v_store(sums + m * VLM_PANEL + n * 16, sum[m][n]);
}

#define THIN_INT4(R) static __attribute__((noinline)) void thin_int4_##R(const thin_piece *p, float *sums) { thin_groups(p, sums, R); }
GEMM_CASES_6(THIN_INT4)
#undef THIN_INT4
#define THIN_INT4(R) thin_int4_##R,
static thin_run_fn *const int4_runs[] = {GEMM_CASES_6(THIN_INT4)};
#undef THIN_INT4

static void thin_block_int4(const vlm_linear_args *a, const linear_block *b) {
  const int64_t groups = a->inputs / a->group, bytes = (int64_t)vlm_int4_block_bytes(a->group);
  thin_layer layer = {.x = a->x + b->row * a->x_stride, .x_stride = a->x_stride * 4, .x_unit = a->group * 4, .units = groups,
                      .weights = (const uint8_t *)a->weight + b->panel * groups * bytes, .unit_bytes = bytes, .panel_bytes = groups * bytes,
                      .group = a->group, .pass = 6};
  thin_panels(&layer, b, int4_runs);
}

// The last input where there is an odd number of them.
static void thin_last(const vlm_linear_args *a, const linear_block *b, const uint32_t *w, bool bf16, float *sums) {
  for (int64_t t = 0; t < b->rows; t++, sums += VLM_PANEL)
    for (int n = 0; n < VLM_PANEL; n += 16) {
      __m512i last = _mm512_loadu_si512(w + n);
      v_f32 weight = _mm512_castsi512_ps(bf16 ? _mm512_slli_epi32(last, 16) : last);
      v_store(sums + n, v_fma(v_set1(a->x[(b->row + t) * a->x_stride + a->inputs - 1]), weight, v_load(sums + n)));
    }
}

static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  const bool bf16 = a->kind == VLM_LINEAR_BF16_F32;
  const int64_t words = bf16 ? VLM_PANEL : 2 * VLM_PANEL, panel = VLM_PANEL * (bf16 ? vlm_ceil_div(a->inputs, 2) : a->inputs);
  const uint32_t *w = (const uint32_t *)a->weight + b->panel * panel;
  thin_layer layer = {.x = a->x + b->row * a->x_stride, .x_stride = a->x_stride * 4, .x_unit = 8, .weights = w, .unit_bytes = words * 4,
                      .panel_bytes = panel * 4, .units = a->inputs / 2, .pass = 12};
  thin_panels(&layer, b, bf16 ? bf16_runs : f32_runs);
  for (int64_t p = 0; p < b->panels && a->inputs % 2; p++)
    thin_last(a, b, w + p * panel + a->inputs / 2 * words, bf16, b->sums + p * LINEAR_ROWS * VLM_PANEL);
}

void vlm_linear_bf16_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){THIN_PANELS, THIN_PANELS, a->inputs});
  else linear_blocks(a, begin, end, scratch, block_bf16, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}

void vlm_linear_f32_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){THIN_PANELS, THIN_PANELS, a->inputs});
  else linear_blocks(a, begin, end, scratch, block_f32, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}

void vlm_linear_int4_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block_int4, (linear_cut){THIN_PANELS, THIN_PANELS, a->inputs});
  else linear_blocks(a, begin, end, scratch, block_int4, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}
#pragma clang attribute pop
#endif
