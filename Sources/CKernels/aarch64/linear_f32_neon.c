#include "../math_scalar.h"

#if VLM_AARCH64
#include "simd_neon.h"
#include "../vectors/math_body.inl"
#define GEMM_ROWS 4
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4)
#include "../vectors/gemm_body.inl"
#include "../vectors/linear_blocks.inl"

static inline float32x4_t as_floats(uint32x4_t bits) { return vreinterpretq_f32_u32(bits); }

// Inputs k and k + 1 of 8 outputs.
static inline void v_pair_bf16(const uint32_t *w, v_f32 *even, v_f32 *odd) {
  const uint32x4_t low = vld1q_u32(w), high = vld1q_u32(w + 4), mask = vdupq_n_u32(0xffff0000);
  *even = (v_f32){as_floats(vshlq_n_u32(low, 16)), as_floats(vshlq_n_u32(high, 16))};
  *odd = (v_f32){as_floats(vandq_u32(low, mask)), as_floats(vandq_u32(high, mask))};
}

VLM_INLINE float32x4_t field(const uint8_t *w, const int shift, uint32_t mask) {
  const uint32x4_t v = vreinterpretq_u32_u8(vld1q_u8(w));
  return vcvtq_f32_u32(vandq_u32(vshlq_u32(v, vdupq_n_s32(-shift)), vdupq_n_u32(mask)));
}

// Input j of the 8 of an int4 step, of 8 outputs.
VLM_INLINE v_f32 v_nibbles(const uint8_t *w, const int j) {
  const int shift = j < 4 ? 8 * j : 8 * (j - 4) + 4;
  return (v_f32){field(w, shift, 15), field(w + 16, shift, 15)};
}

// Input j of a step of four of 8-bit weights, of 8 outputs.
VLM_INLINE v_f32 v_bytes(const uint8_t *w, const int j) { return (v_f32){field(w, 8 * j, 255), field(w + 16, 8 * j, 255)}; }

static inline v_f32 v_from_u16(const uint16_t *p) { return v_from_u16x8(vld1q_u16(p)); }

#include "../vectors/linear_f32_body.inl"
#include "../vectors/linear_thin_f32.inl"

void vlm_linear_bf16_f32_4x16_neon(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block, block_bf16);
}

void vlm_linear_f32_f32_4x16_neon(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block, block_f32);
}

void vlm_linear_int4_f32_4x16_neon(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_int4, block_int4);
}

// Few rows and many read the same weights, written out once for all of them.
void vlm_linear_int8_f32_4x16_neon(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, NULL, block_int8);
}

#define THIN_FLOAT_CASES(DO) DO(1) DO(2)
enum { THIN_FLOAT_PASS = 2 };
#include "../vectors/linear_floats_body.inl"

void vlm_linear_f8_f32_4x16_neon(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_f8, block_f8);
}

void vlm_linear_f4_f32_4x16_neon(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_f4, block_f4);
}
#endif
