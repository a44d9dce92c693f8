// Vectors of 8 f32 as pairs of NEON registers; the same names as simd_avx2.h, and the same bits: the order of lanes in sums, and what
// becomes of NaN, are AVX2's.
#include <arm_neon.h>

#define V_WIDTH 8
typedef struct {
  float32x4_t low, high;
} v_f32;

// `first` is how many lanes v_first chose. Partial loads and stores ask for that alone: their masks come from v_first.
typedef struct {
  uint32x4_t low, high;
  int64_t first;
} v_mask;

static inline v_mask v_first(int64_t n) {
  static const int32_t places[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  const int64_t count = n > 8 ? 8 : n < 0 ? 0 : n;
  const int32x4_t limit = vdupq_n_s32((int32_t)count);
  return (v_mask){vcgtq_s32(limit, vld1q_s32(places)), vcgtq_s32(limit, vld1q_s32(places + 4)), count};
}
static inline v_f32 v_zero(void) { return (v_f32){vdupq_n_f32(0), vdupq_n_f32(0)}; }
static inline v_f32 v_set1(float x) { return (v_f32){vdupq_n_f32(x), vdupq_n_f32(x)}; }
static inline v_f32 v_load(const float *p) { return (v_f32){vld1q_f32(p), vld1q_f32(p + 4)}; }
static inline void v_store(float *p, v_f32 x) {
  vst1q_f32(p, x.low);
  vst1q_f32(p + 4, x.high);
}

// The first n < 4 numbers at p, zeros behind them.
static inline float32x4_t v_load_few(const float *p, int64_t n) {
  const float32x4_t none = vdupq_n_f32(0);
  if (n <= 0) return none;
  if (n == 1) return vld1q_lane_f32(p, none, 0);
  const float32x4_t two = vcombine_f32(vld1_f32(p), vdup_n_f32(0));
  return n == 2 ? two : vld1q_lane_f32(p + 2, two, 2);
}
static inline void v_store_few(float *p, int64_t n, float32x4_t x) {
  if (n >= 2) vst1_f32(p, vget_low_f32(x));
  if (n == 1) vst1q_lane_f32(p, x, 0);
  if (n == 3) vst1q_lane_f32(p + 2, x, 2);
}
static inline v_f32 v_load_part(v_mask m, const float *p) {
  if (m.first == 8) return v_load(p);
  if (m.first < 4) return (v_f32){v_load_few(p, m.first), vdupq_n_f32(0)};
  return (v_f32){vld1q_f32(p), v_load_few(p + 4, m.first - 4)};
}
static inline void v_store_part(float *p, v_mask m, v_f32 x) {
  if (m.first == 8) {
    v_store(p, x);
  } else if (m.first < 4) {
    v_store_few(p, m.first, x.low);
  } else {
    vst1q_f32(p, x.low);
    v_store_few(p + 4, m.first - 4, x.high);
  }
}

static inline v_f32 v_add(v_f32 a, v_f32 b) { return (v_f32){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
static inline v_f32 v_sub(v_f32 a, v_f32 b) { return (v_f32){vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
static inline v_f32 v_mul(v_f32 a, v_f32 b) { return (v_f32){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
static inline v_f32 v_div(v_f32 a, v_f32 b) { return (v_f32){vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
static inline v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) { return (v_f32){vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)}; }
static inline v_f32 v_fnma(v_f32 a, v_f32 b, v_f32 c) { return (v_f32){vfmsq_f32(c.low, a.low, b.low), vfmsq_f32(c.high, a.high, b.high)}; }
static inline v_f32 v_abs(v_f32 a) { return (v_f32){vabsq_f32(a.low), vabsq_f32(a.high)}; }
static inline v_f32 v_round(v_f32 a) { return (v_f32){vrndnq_f32(a.low), vrndnq_f32(a.high)}; }

// The second operand where one is NaN, or both are equal.
static inline float32x4_t v_min4(float32x4_t a, float32x4_t b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline float32x4_t v_max4(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline v_f32 v_min(v_f32 a, v_f32 b) { return (v_f32){v_min4(a.low, b.low), v_min4(a.high, b.high)}; }
static inline v_f32 v_max(v_f32 a, v_f32 b) { return (v_f32){v_max4(a.low, b.low), v_max4(a.high, b.high)}; }

static inline float32x4_t v_scale4(float32x4_t a, float32x4_t n) {
  const int32x4_t e = vcvtnq_s32_f32(n), half = vshrq_n_s32(e, 1), bias = vdupq_n_s32(127);
  const int32x4_t low = vshlq_n_s32(vaddq_s32(half, bias), 23), high = vshlq_n_s32(vaddq_s32(vsubq_s32(e, half), bias), 23);
  return vmulq_f32(vmulq_f32(a, vreinterpretq_f32_s32(low)), vreinterpretq_f32_s32(high));
}
// a · 2ⁿ for whole n in −252...254, in two steps so that neither factor leaves the range of f32.
static inline v_f32 v_scale2(v_f32 a, v_f32 n) { return (v_f32){v_scale4(a.low, n.low), v_scale4(a.high, n.high)}; }
static inline float32x4_t v_scale4_bits(float32x4_t a, float32x4_t t) {
  return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a), vshlq_n_s32(vreinterpretq_s32_f32(t), 23)));
}
// a · 2ⁿ for normal results, n the low bits of the mantissa of t.
static inline v_f32 v_scale2_bits(v_f32 a, v_f32 t) { return (v_f32){v_scale4_bits(a.low, t.low), v_scale4_bits(a.high, t.high)}; }
static inline v_f32 v_copysign(v_f32 a, v_f32 s) {
  const uint32x4_t sign = vdupq_n_u32(0x80000000);
  return (v_f32){vbslq_f32(sign, s.low, a.low), vbslq_f32(sign, s.high, a.high)};
}
static inline v_f32 v_select(v_mask m, v_f32 yes, v_f32 no) { return (v_f32){vbslq_f32(m.low, yes.low, no.low), vbslq_f32(m.high, yes.high, no.high)}; }
static inline v_mask v_less(v_f32 a, v_f32 b) { return (v_mask){vcltq_f32(a.low, b.low), vcltq_f32(a.high, b.high), 0}; }
static inline v_mask v_greater(v_f32 a, v_f32 b) { return (v_mask){vcgtq_f32(a.low, b.low), vcgtq_f32(a.high, b.high), 0}; }
static inline v_mask v_equal(v_f32 a, v_f32 b) { return (v_mask){vceqq_f32(a.low, b.low), vceqq_f32(a.high, b.high), 0}; }
static inline v_mask v_at_least(v_f32 a, v_f32 b) { return (v_mask){vcgeq_f32(a.low, b.low), vcgeq_f32(a.high, b.high), 0}; }
static inline v_mask v_is_nan(v_f32 a) { return (v_mask){vmvnq_u32(vceqq_f32(a.low, a.low)), vmvnq_u32(vceqq_f32(a.high, a.high)), 0}; }
static inline uint32_t v_bits(v_mask m) {
  static const uint32_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  return vaddvq_u32(vorrq_u32(vandq_u32(m.low, vld1q_u32(bits)), vandq_u32(m.high, vld1q_u32(bits + 4))));
}
static inline float v_most(v_f32 a) {
  float32x4_t x = v_max4(a.low, a.high);
  x = v_max4(x, vextq_f32(x, x, 2));
  const float left = vgetq_lane_f32(x, 0), right = vgetq_lane_f32(x, 1);
  return left > right ? left : right;
}

// Sum of the lanes in f64.
static inline double v_sum_f64(v_f32 a) {
  const float64x2_t x = vaddq_f64(vcvt_f64_f32(vget_low_f32(a.low)), vcvt_f64_f32(vget_low_f32(a.high)));
  const float64x2_t y = vaddq_f64(x, vaddq_f64(vcvt_high_f64_f32(a.low), vcvt_high_f64_f32(a.high)));
  return vgetq_lane_f64(y, 0) + vgetq_lane_f64(y, 1);
}

static inline v_f32 v_from_bf16(const uint16_t *p) {
  const uint16x8_t v = vld1q_u16(p);
  return (v_f32){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(v), 16)), vreinterpretq_f32_u32(vshll_high_n_u16(v, 16))};
}
static inline float32x4_t v_even_bf16(uint32x4_t v) { return vreinterpretq_f32_u32(vshlq_n_u32(v, 16)); }
static inline float32x4_t v_odd_bf16(uint32x4_t v) { return vreinterpretq_f32_u32(vandq_u32(v, vdupq_n_u32(0xffff0000))); }
// The even and the odd ones of 16.
static inline void v_split_bf16(const uint16_t *p, v_f32 *even, v_f32 *odd) {
  const uint32x4_t a = vreinterpretq_u32_u16(vld1q_u16(p)), b = vreinterpretq_u32_u16(vld1q_u16(p + 8));
  *even = (v_f32){v_even_bf16(a), v_even_bf16(b)};
  *odd = (v_f32){v_odd_bf16(a), v_odd_bf16(b)};
}
static inline v_f32 v_from_u16x8(uint16x8_t v) {
  return (v_f32){vcvtq_f32_u32(vmovl_u16(vget_low_u16(v))), vcvtq_f32_u32(vmovl_high_u16(v))};
}
static inline v_f32 v_from_u8(const uint8_t *p) { return v_from_u16x8(vmovl_u8(vld1_u8(p))); }
static inline v_f32 v_from_f16x8(uint16x8_t v) {
  const float16x8_t halves = vreinterpretq_f16_u16(v);
  return (v_f32){vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)};
}
static inline v_f32 v_from_f16(const uint16_t *p) { return v_from_f16x8(vld1q_u16(p)); }

static inline uint16x4_t v_to_bf16x4(float32x4_t x) {
  const uint32x4_t u = vreinterpretq_u32_f32(x), high = vshrq_n_u32(u, 16), odd = vandq_u32(high, vdupq_n_u32(1));
  const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7fff))), 16);
  return vmovn_u32(vbslq_u32(vceqq_f32(x, x), rounded, vorrq_u32(high, vdupq_n_u32(0x40))));
}
// Rounds to nearest even; NaN stays NaN.
static inline void v_to_bf16(uint16_t *p, v_f32 x) { vst1q_u16(p, vcombine_u16(v_to_bf16x4(x.low), v_to_bf16x4(x.high))); }

// Column c of 4 rows of one half, c = 0 … 3.
static inline void v_transpose4(const float32x4_t in[4], float32x4_t out[4]) {
  const float32x4_t a = vtrn1q_f32(in[0], in[1]), b = vtrn2q_f32(in[0], in[1]), c = vtrn1q_f32(in[2], in[3]), d = vtrn2q_f32(in[2], in[3]);
  out[0] = vcombine_f32(vget_low_f32(a), vget_low_f32(c));
  out[1] = vcombine_f32(vget_low_f32(b), vget_low_f32(d));
  out[2] = vcombine_f32(vget_high_f32(a), vget_high_f32(c));
  out[3] = vcombine_f32(vget_high_f32(b), vget_high_f32(d));
}
// Transposes 8 rows of 8: out row c holds column c of the rows.
static inline void v_transpose(const v_f32 in[8], v_f32 out[8]) {
  for (int r = 0; r < 2; r++) {
    const float32x4_t left[4] = {in[4 * r].low, in[4 * r + 1].low, in[4 * r + 2].low, in[4 * r + 3].low};
    const float32x4_t right[4] = {in[4 * r].high, in[4 * r + 1].high, in[4 * r + 2].high, in[4 * r + 3].high};
    float32x4_t columns[8];
    v_transpose4(left, columns);
    v_transpose4(right, columns + 4);
    for (int c = 0; c < 8; c++) {
      if (r == 0) out[c].low = columns[c];
      else out[c].high = columns[c];
    }
  }
}

// The 32 codes of an input, 2⁻⁸ times: the low bytes of words are outputs 0 ..< 16, the high ones 16 ..< 32.
static inline void v_widen_f8(const uint8_t *codes, v_f32 w[4]) {
  const uint16x8_t bits = vdupq_n_u16(0xbf80);
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    const int16x8_t v = vreinterpretq_s16_u8(vld1q_u8(codes + 16 * n));
    w[n] = v_from_f16x8(vandq_u16(vreinterpretq_u16_s16(vshrq_n_s16(vshlq_n_s16(v, 8), 1)), bits));
    w[2 + n] = v_from_f16x8(vandq_u16(vreinterpretq_u16_s16(vshrq_n_s16(v, 1)), bits));
  }
}

static inline float32x4_t v_twice_f4x4(const uint8_t *codes, const int shift) {
  // Bytes of a word beside the code's are 0, and so is what they become.
  static const uint8_t magnitudes[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, 1, 2, 3, 4, 6, 8, 12};
  const uint32x4_t v = vreinterpretq_u32_u8(vld1q_u8(codes)), code = vandq_u32(vshlq_u32(v, vdupq_n_s32(-shift)), vdupq_n_u32(15));
  const uint32x4_t whole = vreinterpretq_u32_u8(vqtbl1q_u8(vld1q_u8(magnitudes), vreinterpretq_u8_u32(code)));
  const float32x4_t sign = vreinterpretq_f32_u32(vshlq_u32(v, vdupq_n_s32(28 - shift)));
  return vbslq_f32(vdupq_n_u32(0x80000000), sign, vcvtq_f32_u32(whole));
}
// Twice input j of a step of e2m1, of 8 outputs.
static inline v_f32 v_twice_f4(const uint8_t *codes, const int j) {
  const int shift = j < 4 ? 8 * j : 8 * (j - 4) + 4;
  return (v_f32){v_twice_f4x4(codes, shift), v_twice_f4x4(codes + 16, shift)};
}

// Scales of 8 outputs of an F4 panel: e4m3 2⁻⁸-fold, or e8m0.
static inline v_f32 v_scales_f4(const uint8_t *codes, const bool e4m3) {
  const uint8x8_t bytes = vld1_u8(codes);
  if (e4m3) {
    const int16x8_t words = vshlq_n_s16(vmovl_s8(vreinterpret_s8_u8(bytes)), 7);
    return v_from_f16x8(vandq_u16(vreinterpretq_u16_s16(words), vdupq_n_u16(0xbf80)));
  }
  const uint16x8_t words = vmovl_u8(bytes);
  return (v_f32){vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vget_low_u16(words)), 23)),
                 vreinterpretq_f32_u32(vshlq_n_u32(vmovl_high_u16(words), 23))};
}
