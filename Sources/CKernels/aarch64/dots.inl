// Sums of products of bytes, for what integer kernels share: V_HAS_DOT says whether the processor multiplies four of them at once. Either way the
// sums are the same whole numbers. Registers are of 4 outputs.

enum { LANES = 4, VECTORS = VLM_PANEL / LANES };

// sum + the products of four bytes of each output with four bytes of a row, those of `lane` of its 16.
#if V_HAS_DOT
VLM_INLINE int32x4_t add_dots(int32x4_t sum, int8x16_t w, int8x16_t x, const int lane) {
  switch (lane) {
    case 0: return vdotq_laneq_s32(sum, w, x, 0);
    case 1: return vdotq_laneq_s32(sum, w, x, 1);
    case 2: return vdotq_laneq_s32(sum, w, x, 2);
    default: return vdotq_laneq_s32(sum, w, x, 3);
  }
}
#else
VLM_INLINE int8x16_t four_of(int8x16_t x, const int lane) {
  const int32x4_t words = vreinterpretq_s32_s8(x);
  switch (lane) {
    case 0: return vreinterpretq_s8_s32(vdupq_laneq_s32(words, 0));
    case 1: return vreinterpretq_s8_s32(vdupq_laneq_s32(words, 1));
    case 2: return vreinterpretq_s8_s32(vdupq_laneq_s32(words, 2));
    default: return vreinterpretq_s8_s32(vdupq_laneq_s32(words, 3));
  }
}

// A product of two bytes has room in 16 bits, and so has not the sum of two.
VLM_INLINE int32x4_t add_dots(int32x4_t sum, int8x16_t w, int8x16_t x, const int lane) {
  const int8x16_t four = four_of(x, lane);
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(four))), high = vpaddlq_s16(vmull_high_s8(w, four));
  return vaddq_s32(sum, vpaddq_s32(low, high));
}
#endif

VLM_INLINE float float_at(const void *p) {
  float x;
  __builtin_memcpy(&x, p, 4);
  return x;
}

VLM_INLINE int32_t int_at(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return x;
}
