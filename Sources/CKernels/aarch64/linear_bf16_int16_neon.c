#include "../math_scalar.h"

#if VLM_AARCH64
#include "simd_neon.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"

enum { TILE_ROWS = 4 };
#define TILES(DO) DO(1) DO(2) DO(3) DO(4)
#define ROUNDING_TILES(DO) DO(1) DO(2)

typedef struct {
  int32x4_t low, high;
} v_i32;

// Two inputs of 8 outputs: as they lie in memory, or codes by input.
typedef struct {
  int16x8_t first, second;
} v_i16;

typedef int16x4_t v_pair;

static inline v_i16 i_load(const void *p) { return (v_i16){vld1q_s16(p), vld1q_s16((const int16_t *)p + 8)}; }
static inline void i_store(void *p, v_i16 x) {
  vst1q_s16(p, x.first);
  vst1q_s16((int16_t *)p + 8, x.second);
}
static inline v_i16 i_none(void) { return (v_i16){vdupq_n_s16(0), vdupq_n_s16(0)}; }
static inline v_i32 i_zero(void) { return (v_i32){vdupq_n_s32(0), vdupq_n_s32(0)}; }
static inline v_f32 i_floats(v_i32 x) { return (v_f32){vcvtq_f32_s32(x.low), vcvtq_f32_s32(x.high)}; }
static inline v_pair i_set1(const void *p) { return vreinterpret_s16_s32(vld1_dup_s32(p)); }

static inline int16x8_t greater(int16x8_t most, int16x8_t words) {
  return vreinterpretq_s16_u16(vmaxq_u16(vreinterpretq_u16_s16(most), vandq_u16(vreinterpretq_u16_s16(words), vdupq_n_u16(0x7fff))));
}
static inline v_i16 i_magnitudes(v_i16 most, v_i16 words) { return (v_i16){greater(most.first, words.first), greater(most.second, words.second)}; }

static inline uint32x4_t even_of(int16x8_t words) { return vshlq_n_u32(vreinterpretq_u32_s16(words), 16); }
static inline uint32x4_t odd_of(int16x8_t words) { return vandq_u32(vreinterpretq_u32_s16(words), vdupq_n_u32(0xffff0000)); }

// The greater of each pair.
static inline v_f32 i_greatest(v_i16 pairs) {
  return (v_f32){vreinterpretq_f32_u32(vmaxq_u32(even_of(pairs.first), odd_of(pairs.first))),
                 vreinterpretq_f32_u32(vmaxq_u32(even_of(pairs.second), odd_of(pairs.second)))};
}

static inline int16x4_t codes_of(uint32x4_t bits, float32x4_t inverse) {
  return vreinterpret_s16_u16(vmovn_u32(vreinterpretq_u32_f32(vfmaq_f32(vdupq_n_f32(VLM_I16_MAGIC), vreinterpretq_f32_u32(bits), inverse))));
}

static inline v_i16 i_codes(v_i16 words, v_f32 inverse) {
  return (v_i16){vcombine_s16(codes_of(even_of(words.first), inverse.low), codes_of(even_of(words.second), inverse.high)),
                 vcombine_s16(codes_of(odd_of(words.first), inverse.low), codes_of(odd_of(words.second), inverse.high))};
}

VLM_INLINE v_i32 i_dot(v_i32 sum, v_i16 w, v_pair x) {
  sum.low = vmlal_lane_s16(vmlal_lane_s16(sum.low, vget_low_s16(w.first), x, 0), vget_low_s16(w.second), x, 1);
  sum.high = vmlal_high_lane_s16(vmlal_high_lane_s16(sum.high, w.first, x, 0), w.second, x, 1);
  return sum;
}

#include "../vectors/linear_bf16_int16.inl"

void vlm_linear_bf16_int16_4x16_neon(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_bf16_int16(a, begin, end, scratch);
}
#endif
