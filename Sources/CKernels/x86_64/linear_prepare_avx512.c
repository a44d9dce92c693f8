#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#include "simd_avx512.h"

void vlm_prepare_bf16_avx512(const vlm_linear_args *a, int64_t begin, int64_t end) {
  int64_t stride = vlm_prepared_bf16_stride(a->inputs);
  for (int64_t t = begin; t < end; t++)
    for (int64_t k = 0; k < stride; k += 16)
      v_to_bf16((uint16_t *)a->prepared + t * stride + k, v_load_part(v_first(a->inputs - k), a->x + t * a->x_stride + k));
}

void vlm_prepare_i8_avx512(const vlm_linear_args *a, int64_t begin, int64_t end) {
  vlm_prepared_i8 p = vlm_prepared_i8_of(a);
  const v_f32 limit = v_set1(127);
  for (int64_t t = begin; t < end; t++)
    for (int64_t g = 0; g < p.groups; g++) {
      const float *x = a->x + t * a->x_stride + g * a->group;
      int8_t *q = p.q + t * a->inputs + g * a->group;
      v_f32 greatest = v_zero();
      for (int64_t k = 0; k < a->group; k += 16) greatest = v_max(v_abs(v_load(x + k)), greatest);
      float most = v_most(greatest), inverse = most > 1e-30f ? 127.0f / most : 0, scale = most > 1e-30f ? most / 127.0f : 0;
      __m512i sum = _mm512_setzero_si512();
      for (int64_t k = 0; k < a->group; k += 16) {
        v_f32 r = v_max(v_min(v_mul(v_load(x + k), v_set1(inverse)), limit), v_sub(v_zero(), limit));
        __m512i whole = _mm512_cvtps_epi32(r);
        sum = _mm512_add_epi32(sum, whole);
        _mm_storeu_si128((void *)(q + k), _mm512_cvtepi32_epi8(whole));
      }
      p.scale[g * a->rows + t] = scale;
      p.sum[g * a->rows + t] = _mm512_reduce_add_epi32(sum);
    }
}
#pragma clang attribute pop
#endif
