#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"

// 16 numbers as int8; adds them to sum.
static inline __m128i round16(const float *x, v_f32 inverse, __m256i *sum) {
  const v_f32 most = v_set1(127), least = v_set1(-127);
  __m256i low = _mm256_cvtps_epi32(v_max(v_min(v_mul(v_load(x), inverse), most), least));
  __m256i high = _mm256_cvtps_epi32(v_max(v_min(v_mul(v_load(x + 8), inverse), most), least));
  *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(low, high));
  __m256i pairs = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
  return _mm_packs_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

static inline int32_t sum_of(__m256i v) {
  __m128i x = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
}

void vlm_pack_int8_rows_avx2(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t groups = a->inputs / a->group, stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  for (int64_t t = begin; t < end; t++) {
    int8_t *q = (int8_t *)a->packed + t * stride;
    for (int64_t g = 0; g < groups; g++, q += vlm_i8_group_bytes(a->group)) {
      const float *x = a->x + t * a->x_stride + g * a->group;
      v_f32 greatest = v_zero();
      for (int64_t k = 0; k < a->group; k += 8) greatest = v_max(v_abs(v_load(x + k)), greatest);
      float most = v_most(greatest), inverse = most > 1e-30f ? 127.0f / most : 0;
      __m256i sum = _mm256_setzero_si256();
      for (int64_t k = 0; k < a->group; k += 16) _mm_storeu_si128((void *)(q + k), round16(x + k, v_set1(inverse), &sum));
      vlm_i8_tail tail = {most > 1e-30f ? most / 127.0f : 0, sum_of(sum)};
      __builtin_memcpy(q + a->group, &tail, sizeof tail);
    }
  }
}
#pragma clang attribute pop
#endif
