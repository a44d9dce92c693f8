#include "../rate.h"

#if VLM_AARCH64
#include <arm_neon.h>

// Keeps a vector in a register and its value unknown to the compiler, so that no iteration is folded away.
#define KEEP(v) __asm__ volatile("" : "+w"(v))

uint64_t vlm_rate_fma_neon(int64_t iterations) {
  const float32x4_t x = vdupq_n_f32(0.5f), y = vdupq_n_f32(1);
  float32x4_t a[VLM_RATE_CHAINS];
#pragma clang loop unroll(full)
  for (int i = 0; i < VLM_RATE_CHAINS; i++) a[i] = vdupq_n_f32((float)i);
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < VLM_RATE_CHAINS; i++) {
      a[i] = vfmaq_f32(a[i], x, y);
      KEEP(a[i]);
    }
  }
  for (int i = 1; i < VLM_RATE_CHAINS; i++) a[0] = vaddq_f32(a[0], a[i]);
  return (uint64_t)vgetq_lane_f32(a[0], 0);
}

__attribute__((target("dotprod"))) uint64_t vlm_rate_int8_neondot(int64_t iterations) {
  const int8x16_t x = vdupq_n_s8(3), y = vdupq_n_s8(-2);
  int32x4_t a[VLM_RATE_CHAINS];
#pragma clang loop unroll(full)
  for (int i = 0; i < VLM_RATE_CHAINS; i++) a[i] = vdupq_n_s32(i);
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < VLM_RATE_CHAINS; i++) {
      a[i] = vdotq_s32(a[i], x, y);
      KEEP(a[i]);
    }
  }
  for (int i = 1; i < VLM_RATE_CHAINS; i++) a[0] = vaddq_s32(a[0], a[i]);
  return (uint64_t)vaddvq_s32(a[0]);
}

// Four places of the buffer at once, a quarter each.
uint64_t vlm_rate_read_neon(int64_t iterations, const void *buffer, size_t bytes) {
  const size_t quarter = bytes / 512 * 128;
  uint64x2_t sum[4] = {vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0)};
  for (int64_t n = 0; n < iterations; n++) {
    for (size_t i = 0; i < quarter; i += 128)
#pragma clang loop unroll(full)
      for (size_t part = 0; part < 128; part += 16)
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) sum[j] = vorrq_u64(sum[j], vld1q_u64((const uint64_t *)((const char *)buffer + (size_t)j * quarter + i + part)));
    KEEP(sum[0]);
  }
  const uint64x2_t all = vorrq_u64(vorrq_u64(sum[0], sum[1]), vorrq_u64(sum[2], sum[3]));
  return vgetq_lane_u64(all, 0) | vgetq_lane_u64(all, 1);
}
#endif
