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

// How numbers become int8: times `inverse`, and back times `scale`.
typedef struct {
  float scale;
  v_f32 inverse;
} rounding;

static inline rounding rounding_of(const float *x, int64_t count) {
  v_f32 greatest = v_zero();
  for (int64_t k = 0; k < count; k += 16) greatest = v_max(v_abs(v_load(x + k)), greatest);
  float most = v_most(greatest);
  return most > 1e-30f ? (rounding){most / 127.0f, v_set1(127.0f / most)} : (rounding){0, v_zero()};
}

// 16 numbers as int8; gives them as whole numbers as well.
static inline __m512i round16(const float *x, v_f32 inverse, int8_t *q) {
  const v_f32 limit = v_set1(127);
  __m512i whole = _mm512_cvtps_epi32(v_max(v_min(v_mul(v_load(x), inverse), limit), v_sub(v_zero(), limit)));
  _mm_storeu_si128((void *)q, _mm512_cvtepi32_epi8(whole));
  return whole;
}

void vlm_pack_int8_rows_avx512(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t groups = a->inputs / a->group, stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  for (int64_t t = begin; t < end; t++) {
    int8_t *q = (int8_t *)a->packed + t * stride;
    for (int64_t g = 0; g < groups; g++, q += vlm_i8_group_bytes(a->group)) {
      const float *x = a->x + t * a->x_stride + g * a->group;
      const rounding r = rounding_of(x, a->group);
      __m512i sum = _mm512_setzero_si512();
      for (int64_t k = 0; k < a->group; k += 16) sum = _mm512_add_epi32(sum, round16(x + k, r.inverse, q + k));
      vlm_i8_tail tail = {r.scale, _mm512_reduce_add_epi32(sum)};
      __builtin_memcpy(q + a->group, &tail, sizeof tail);
    }
  }
}

void vlm_pack_int8_blocks_avx512(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  const size_t stride = vlm_row_bytes(VLM_ROWS_INT8_BLOCKS, a->inputs, 0);
  for (int64_t t = begin; t < end; t++) {
    vlm_f4_row_block *block = (vlm_f4_row_block *)((char *)a->packed + (size_t)t * stride);
    for (int64_t k = 0; k < a->inputs; k += VLM_F4_BLOCK, block++) {
      const float *x = a->x + t * a->x_stride + k;
      const int64_t count = vlm_min(VLM_F4_BLOCK, a->inputs - k);
      const rounding r = rounding_of(x, count);
      if (count < VLM_F4_BLOCK) *block = (vlm_f4_row_block){0};
      block->scale = r.scale;
      for (int64_t d = 0; d < count / VLM_F4_DOT; d++) {
        int32_t sum = _mm512_reduce_add_epi32(round16(x + d * VLM_F4_DOT, r.inverse, block->dots[d].q));
        block->dots[d].start = (uint16_t)(-VLM_I8_CENTRE * sum);
      }
    }
  }
}
#pragma clang attribute pop
#endif
