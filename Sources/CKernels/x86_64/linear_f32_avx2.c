#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "math_body.inl"
#define GEMM_ROWS 6
#define GEMM_CASES_12(DO)
#include "gemm_body.inl"
#include "linear_blocks.inl"

static inline void v_split_bf16(const uint32_t *w, float *even, float *odd) {
  __m256i pair = _mm256_loadu_si256((const void *)w);
  _mm256_storeu_si256((void *)even, _mm256_slli_epi32(pair, 16));
  _mm256_storeu_si256((void *)odd, _mm256_and_si256(pair, _mm256_set1_epi32((int)0xffff0000)));
}

// 8 inputs of 8 outputs; rows of y are VLM_PANEL apart.
static inline void v_split_int4(const uint8_t *w, v_f32 scale, v_f32 zero, float *y) {
  __m256i v = _mm256_loadu_si256((const void *)w), low = _mm256_set1_epi32(15);
#pragma clang loop unroll(full)
  for (int j = 0; j < 8; j++) {
    __m256i q = _mm256_and_si256(_mm256_srli_epi32(v, j < 4 ? 8 * j : 8 * (j - 4) + 4), low);
    v_store(y + j * VLM_PANEL, v_mul(v_sub(_mm256_cvtepi32_ps(q), zero), scale));
  }
}

#include "linear_f32_body.inl"

enum { THIN_ROWS = 3, PREFETCH = 2048 };

// Sums of up to 3 rows over a panel of bf16 pairs.
VLM_INLINE void thin_bf16(const float *x, int64_t x_stride, const uint32_t *w, int64_t inputs, float *sums, const int rows) {
  const __m256i high = _mm256_set1_epi32((int)0xffff0000);
  v_f32 sum[3][4];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) sum[m][0] = sum[m][1] = sum[m][2] = sum[m][3] = v_zero();
  for (int64_t k = 0; k < inputs; k += 2, w += VLM_PANEL) {
    bool pair = k + 1 < inputs;
    _mm_prefetch((const char *)w + PREFETCH, _MM_HINT_T0);
    _mm_prefetch((const char *)w + PREFETCH + 64, _MM_HINT_T0);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      v_f32 even = v_set1(x[m * x_stride + k]), odd = pair ? v_set1(x[m * x_stride + k + 1]) : v_zero();
#pragma clang loop unroll(full)
      for (int n = 0; n < 4; n++) {
        __m256i v = _mm256_loadu_si256((const void *)(w + 8 * n));
        sum[m][n] = v_fma(even, _mm256_castsi256_ps(_mm256_slli_epi32(v, 16)), sum[m][n]);
        sum[m][n] = v_fma(odd, _mm256_castsi256_ps(_mm256_and_si256(v, high)), sum[m][n]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 4; n++) v_store(sums + m * VLM_PANEL + n * 8, sum[m][n]);
}

static void thin_block_bf16(const vlm_linear_args *a, const linear_block *b) {
  const uint32_t *w = (const uint32_t *)a->weight + b->panel * vlm_ceil_div(a->inputs, 2) * VLM_PANEL;
  switch (b->rows) {
    case 1: thin_bf16(a->x, a->x_stride, w, a->inputs, b->sums, 1); break;
    case 2: thin_bf16(a->x, a->x_stride, w, a->inputs, b->sums, 2); break;
    case 3: thin_bf16(a->x, a->x_stride, w, a->inputs, b->sums, 3); break;
    default: break;
  }
}

void vlm_linear_bf16_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block_bf16, (linear_cut){1, 1, a->inputs});
  else linear_blocks(a, begin, end, scratch, block_bf16, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}

void vlm_linear_f32_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_blocks(a, begin, end, scratch, block_f32, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}

void vlm_linear_int4_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_blocks(a, begin, end, scratch, block_int4, (linear_cut){LINEAR_PANELS, 1, LINEAR_F32_INPUTS});
}
#pragma clang attribute pop
#endif
