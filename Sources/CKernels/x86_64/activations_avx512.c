#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#include "simd_avx512.h"

void vlm_pack_bf16_rows_avx512(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t stride = vlm_bf16_row(a->inputs);
  for (int64_t t = begin; t < end; t++)
    for (int64_t k = 0; k < stride; k += 16)
      v_to_bf16((uint16_t *)a->packed + t * stride + k, v_load_part(v_first(a->inputs - k), a->x + t * a->x_stride + k));
}

void vlm_pack_int8_rows_avx512(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t groups = a->inputs / a->group, stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  const v_f32 limit = v_set1(127);
  for (int64_t t = begin; t < end; t++) {
    int8_t *q = (int8_t *)a->packed + t * stride;
    for (int64_t g = 0; g < groups; g++, q += vlm_i8_group_bytes(a->group)) {
      const float *x = a->x + t * a->x_stride + g * a->group;
      v_f32 greatest = v_zero();
      for (int64_t k = 0; k < a->group; k += 16) greatest = v_max(v_abs(v_load(x + k)), greatest);
      float most = v_most(greatest), inverse = most > 1e-30f ? 127.0f / most : 0;
      __m512i sum = _mm512_setzero_si512();
      for (int64_t k = 0; k < a->group; k += 16) {
        v_f32 r = v_max(v_min(v_mul(v_load(x + k), v_set1(inverse)), limit), v_sub(v_zero(), limit));
        __m512i whole = _mm512_cvtps_epi32(r);
        sum = _mm512_add_epi32(sum, whole);
        _mm_storeu_si128((void *)(q + k), _mm512_cvtepi32_epi8(whole));
      }
      vlm_i8_tail tail = {most > 1e-30f ? most / 127.0f : 0, _mm512_reduce_add_epi32(sum)};
      __builtin_memcpy(q + a->group, &tail, sizeof tail);
    }
  }
}
#pragma clang attribute pop
#endif
