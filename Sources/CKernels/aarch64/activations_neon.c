#include "../math_scalar.h"

#if VLM_AARCH64
#include "simd_neon.h"

// How numbers become int8: times `inverse`, and back times `scale`.
typedef struct {
  float scale;
  v_f32 inverse;
} rounding;

static inline rounding rounding_of(const float *x, int64_t count) {
  v_f32 greatest = v_zero();
  for (int64_t k = 0; k < count; k += 8) greatest = v_max(v_abs(v_load(x + k)), greatest);
  float most = v_most(greatest);
  return most > 1e-30f ? (rounding){most / 127.0f, v_set1(127.0f / most)} : (rounding){0, v_zero()};
}

// 8 numbers as whole ones of 16 bits.
static inline int16x8_t round_eight(const float *x, v_f32 inverse) {
  const v_f32 v = v_max(v_min(v_mul(v_load(x), inverse), v_set1(127)), v_set1(-127));
  return vcombine_s16(vmovn_s32(vcvtnq_s32_f32(v.low)), vmovn_s32(vcvtnq_s32_f32(v.high)));
}

// Rounds a multiple of 16 numbers; returns their sum.
static inline int32_t round_numbers(const float *x, int64_t count, rounding r, int8_t *q) {
  int32x4_t sum = vdupq_n_s32(0);
  for (int64_t k = 0; k < count; k += 16) {
    const int16x8_t low = round_eight(x + k, r.inverse), high = round_eight(x + k + 8, r.inverse);
    vst1q_s8(q + k, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
    sum = vpadalq_s16(sum, vaddq_s16(low, high));
  }
  return vaddvq_s32(sum);
}

#define SUFFIXED(name) name##_neon
#include "../activations_int8.inl"

void vlm_pack_bf16_rows_neon(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  const int64_t stride = vlm_bf16_row(a->inputs);
  for (int64_t t = begin; t < end; t++) {
    const float *x = a->x + t * a->x_stride;
    uint16_t *row = (uint16_t *)a->packed + t * stride;
    for (int64_t k = 0; k < stride; k += V_WIDTH) v_to_bf16(row + k, v_load_part(v_first(a->inputs - k), x + k));
  }
}
#endif
