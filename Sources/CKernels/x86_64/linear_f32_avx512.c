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
#include "streams.inl"

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

enum { THIN_ROWS = 24, PAIRS_PER_VISIT = 16 };

static inline void prefetch(const void *p, int64_t ahead) { _mm_prefetch((const char *)p + ahead, _MM_HINT_T0); }

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

// Adds a pair of inputs of up to 12 rows; odd inputs go to sum[chains − 1].
VLM_INLINE void thin_pair(const row_pointers *x, int64_t stride, weight_pair w, v_f32 sum[][12][2], const int chains, const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    v_f32 even = v_set1(*(const float *)row_pointer(x, stride, m, 0)), odd = v_set1(*(const float *)row_pointer(x, stride, m, 4));
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) {
      sum[0][m][n] = v_fma(even, w.even[n], sum[0][m][n]);
      sum[chains - 1][m][n] = v_fma(odd, w.odd[n], sum[chains - 1][m][n]);
    }
  }
}

// Sums of up to 12 rows over a panel of bf16 pairs or of f32. Few rows keep even and odd inputs apart, for more chains.
VLM_INLINE void thin(const vlm_linear_args *a, const float *x, const uint32_t *w, float *sums, const bool bf16, const int rows) {
  const int chains = rows <= 6 ? 2 : 1, words = bf16 ? VLM_PANEL : 2 * VLM_PANEL;  // 32-bit words of a pair
  const int64_t stride = a->x_stride * (int64_t)sizeof(float), pairs = a->inputs / 2;
  v_f32 sum[2][12][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) sum[0][m][0] = sum[0][m][1] = sum[chains - 1][m][0] = sum[chains - 1][m][1] = v_zero();
  for (int64_t step = 0, steps = stream_visits(pairs, PAIRS_PER_VISIT); step < steps; step++) {
    stream_visit visit = stream_visit_at(step, pairs, PAIRS_PER_VISIT, words * 4);
    const uint32_t *at = w + visit.first * words;
    row_pointers row = row_pointers_at(x + visit.first * 2, stride, rows);
    for (int64_t i = 0; i < visit.count; i++, at += words, row_pointers_advance(&row, 8, rows)) {
#pragma clang loop unroll(full)
      for (int line = 0; line < words; line += 16) prefetch(at + line, visit.ahead);
      thin_pair(&row, stride, bf16 ? pair_bf16(at) : pair_f32(at), sum, chains, rows);
    }
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) {
      v_f32 total = chains == 2 ? v_add(sum[0][m][n], sum[1][m][n]) : sum[0][m][n];
      if (a->inputs % 2) {
        __m512i last = _mm512_loadu_si512(w + pairs * words + 16 * n);
        total = v_fma(v_set1(x[m * a->x_stride + a->inputs - 1]), _mm512_castsi512_ps(bf16 ? _mm512_slli_epi32(last, 16) : last), total);
      }
      v_store(sums + m * VLM_PANEL + n * 16, total);
    }
}

// Adds scale·(Σ q·x − zero·Σ x) of one int4 block to the totals of up to 6 rows.
VLM_INLINE void thin_group(const vlm_linear_args *a, const float *x, const float *x_sums, int64_t groups,
                                                             const uint8_t *w, int64_t ahead, v_f32 total[][2], const int rows) {
  const v_f32 digits = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  v_f32 sum[6][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) sum[m][0] = sum[m][1] = v_zero();
  for (int64_t step = 0; step < a->group; step += 8, w += 128) {
    __m512i v0 = _mm512_loadu_si512(w), v1 = _mm512_loadu_si512(w + 64);
    prefetch(w, ahead);
    prefetch(w + 64, ahead);
#pragma clang loop unroll(full)
    for (int j = 0; j < 8; j++) {
      unsigned shift = (unsigned)(j < 4 ? 8 * j : 8 * (j - 4) + 4);
      v_f32 q0 = _mm512_permutexvar_ps(_mm512_srli_epi32(v0, shift), digits);
      v_f32 q1 = _mm512_permutexvar_ps(_mm512_srli_epi32(v1, shift), digits);
#pragma clang loop unroll(full)
      for (int m = 0; m < rows; m++) {
        v_f32 value = v_set1(x[m * a->x_stride + step + j]);
        sum[m][0] = v_fma(value, q0, sum[m][0]);
        sum[m][1] = v_fma(value, q1, sum[m][1]);
      }
    }
  }
  prefetch(w, ahead);
  prefetch(w + 64, ahead);
  const uint16_t *tail = (const uint16_t *)w;
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    v_f32 scale = v_from_f16(tail + 16 * n), zero = v_from_f16(tail + VLM_PANEL + 16 * n);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++)
      total[m][n] = v_fma(scale, v_fnma(zero, v_set1(x_sums[m * groups]), sum[m][n]), total[m][n]);
  }
}

// Sums of up to 6 rows over a panel of int4 blocks; x_sums [rows, groups] holds Σ x.
VLM_INLINE void thin_int4(const vlm_linear_args *a, const float *x, const float *x_sums, const uint8_t *w, float *sums, const int rows) {
  int64_t groups = a->inputs / a->group, bytes = (int64_t)vlm_int4_block_bytes(a->group);
  v_f32 total[6][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) total[m][0] = total[m][1] = v_zero();
  for (int64_t step = 0, steps = stream_visits(groups, 1); step < steps; step++) {
    stream_visit visit = stream_visit_at(step, groups, 1, bytes);
    for (int64_t g = visit.first; g < visit.first + visit.count; g++)
      thin_group(a, x + g * a->group, x_sums + g, groups, w + g * bytes, visit.ahead, total, rows);
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    v_store(sums + m * VLM_PANEL, total[m][0]);
    v_store(sums + m * VLM_PANEL + 16, total[m][1]);
  }
}

#define THIN_DEFINE(R) \
  static __attribute__((noinline)) void thin_bf16_##R(const vlm_linear_args *a, const float *x, const uint32_t *w, float *sums) { \
    thin(a, x, w, sums, true, R); \
  } \
  static __attribute__((noinline)) void thin_f32_##R(const vlm_linear_args *a, const float *x, const uint32_t *w, float *sums) { \
    thin(a, x, w, sums, false, R); \
  }
GEMM_CASES(THIN_DEFINE)
#undef THIN_DEFINE

static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  const bool bf16 = a->kind == VLM_LINEAR_BF16_F32;
  const uint32_t *w = (const uint32_t *)a->weight + b->panel * VLM_PANEL * (bf16 ? vlm_ceil_div(a->inputs, 2) : a->inputs);
  int64_t passes = vlm_ceil_div(b->rows, 12), per_pass = vlm_ceil_div(b->rows, passes);
  for (int64_t t = 0; t < b->rows; t += per_pass) {
    const float *x = a->x + t * a->x_stride;
    float *sums = b->sums + t * VLM_PANEL;
    switch (vlm_min(per_pass, b->rows - t)) {
#define THIN_CASE(R) case R: bf16 ? thin_bf16_##R(a, x, w, sums) : thin_f32_##R(a, x, w, sums); break;
      GEMM_CASES(THIN_CASE)
#undef THIN_CASE
      default: break;
    }
  }
}

static void thin_block_int4(const vlm_linear_args *a, const linear_block *b) {
  int64_t groups = a->inputs / a->group;
  const uint8_t *w = (const uint8_t *)a->weight + (size_t)(b->panel * groups) * vlm_int4_block_bytes(a->group);
  for (int64_t t = 0; t < b->rows; t += 6) {
    const float *x = a->x + t * a->x_stride, *x_sums = b->weights + t * groups;
    switch (vlm_min(6, b->rows - t)) {
#define THIN_CASE(R) case R: thin_int4(a, x, x_sums, w, b->sums + t * VLM_PANEL, R); break;
      GEMM_CASES_6(THIN_CASE)
#undef THIN_CASE
      default: break;
    }
  }
}

// Σ x of every row and group, to scratch; whether they fit.
static bool sum_groups(const vlm_linear_args *a, float *x_sums) {
  int64_t groups = a->inputs / a->group;
  if (a->rows * groups * (int64_t)sizeof(float) > LINEAR_WEIGHTS) return false;
  for (int64_t t = 0; t < a->rows; t++)
    for (int64_t g = 0; g < groups; g++) {
      v_f32 sum = v_zero();
      for (int64_t k = 0; k < a->group; k += 16) sum = v_add(sum, v_load(a->x + t * a->x_stride + g * a->group + k));
      x_sums[t * groups + g] = v_sum(sum);
    }
  return true;
}

void vlm_linear_bf16_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, 1, a->inputs});
  else linear_blocks(a, begin, end, scratch, block_bf16, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}

void vlm_linear_f32_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, 1, a->inputs});
  else linear_blocks(a, begin, end, scratch, block_f32, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}

void vlm_linear_int4_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS && sum_groups(a, scratch)) linear_blocks(a, begin, end, scratch, thin_block_int4, (linear_cut){1, 1, a->inputs});
  else linear_blocks(a, begin, end, scratch, block_int4, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}
#pragma clang attribute pop
#endif
