// Scalar transcendentals of the generic kernels; the vector versions use the same reductions and coefficients.
#ifndef VLM_MATH_SCALAR_H
#define VLM_MATH_SCALAR_H

#include "internal.h"
#include "math_coefficients.h"

static inline float vlm_abs1(float x) { return vlm_from_bits(vlm_bits(x) & 0x7fffffff); }
static inline float vlm_copysign1(float x, float s) { return vlm_from_bits((vlm_bits(x) & 0x7fffffff) | (vlm_bits(s) & 0x80000000)); }
static inline float vlm_sqrt1(float x) { return __builtin_elementwise_sqrt(x); }

// a · b + c with one rounding. The product is exact in f64; the sum goes to its odd neighbour where it is not, so that rounding it once more
// is rounding once.
static inline float vlm_fma1(float a, float b, float c) {
  const double product = (double)a * (double)b, sum = product + (double)c, part = sum - product;
  const double error = (product - (sum - part)) + ((double)c - part);
  uint64_t bits;
  __builtin_memcpy(&bits, &sum, 8);
  // Of what is not finite the error is NaN.
  if ((error < 0 || error > 0) && !(bits & 1)) bits += (error > 0) == (sum > 0) ? 1 : (uint64_t)-1;
  double odd;
  __builtin_memcpy(&odd, &bits, 8);
  return (float)odd;
}

// The nearest whole number, ties to even, of |x| < 2²².
static inline float vlm_round1(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

// A number of a block times the inverse of its scale, as the nearest whole number of the exact product, ties to even. An inverse of 0 has
// codes of 0.
static inline int16_t vlm_i16_code(float x, float inverse) {
  return inverse > 0 ? (int16_t)(((double)x * (double)inverse + 0x1.8p52) - 0x1.8p52) : 0;
}

static inline float vlm_exp1(float x) {
  if (x < VLM_EXP_LOW) return 0;
  if (x > VLM_EXP_HIGH) return vlm_from_bits(0x7f800000);
  float magic = 12582912.0f, shifted = x * VLM_LOG2E + magic, n = shifted - magic;
  float r = (x - n * VLM_LN2_HIGH) - n * VLM_LN2_LOW;
  float p = VLM_EXP_C6;
  p = p * r + VLM_EXP_C5;
  p = p * r + VLM_EXP_C4;
  p = p * r + VLM_EXP_C3;
  p = p * r + VLM_EXP_C2;
  p = 1.0f + (r + r * r * p);
  int32_t e = (int32_t)(vlm_bits(shifted) - vlm_bits(magic)), half = e / 2;
  return p * vlm_from_bits((uint32_t)(half + 127) << 23) * vlm_from_bits((uint32_t)(e - half + 127) << 23);
}

static inline float vlm_sigmoid1(float x) { return 1.0f / (1.0f + vlm_exp1(-x)); }

static inline float vlm_tanh1(float x) {
  float t = vlm_abs1(x), s = x * x;
  if (t >= VLM_TANH_SPLIT) return vlm_copysign1(1.0f - 2.0f / (vlm_exp1(2.0f * t) + 1.0f), x);
  float p = VLM_TANH_C4;
  p = p * s + VLM_TANH_C3;
  p = p * s + VLM_TANH_C2;
  p = p * s + VLM_TANH_C1;
  p = p * s + VLM_TANH_C0;
  return x + x * s * p;
}

static inline float vlm_erf1(float x) {
  float t = vlm_abs1(x), s = x * x;
  if (t >= VLM_ERF_SPLIT) {
    if (t > VLM_ERF_ONE) t = VLM_ERF_ONE;
    float q = VLM_ERFC_C6;
    q = q * t + VLM_ERFC_C5;
    q = q * t + VLM_ERFC_C4;
    q = q * t + VLM_ERFC_C3;
    q = q * t + VLM_ERFC_C2;
    q = q * t + VLM_ERFC_C1;
    q = q * t + VLM_ERFC_C0;
    return x != x ? x : vlm_copysign1(1.0f - vlm_exp1(q), x);
  }
  float p = VLM_ERF_C5;
  p = p * s + VLM_ERF_C4;
  p = p * s + VLM_ERF_C3;
  p = p * s + VLM_ERF_C2;
  p = p * s + VLM_ERF_C1;
  p = p * s + VLM_ERF_C0;
  return x + x * p;
}

// log(x) = n·ln2 + log(m), m in [√½, √2), log(m) = 2·artanh(s) with s = (m − 1)/(m + 1); in f64, so that it rounds once.
static inline double vlm_log_f64(double x) {
  uint64_t u;
  __builtin_memcpy(&u, &x, 8);
  int64_t n = (int64_t)(u >> 52 & 2047) - 1023;
  u = (u & 0xfffffffffffff) | 0x3ff0000000000000;
  double m;
  __builtin_memcpy(&m, &u, 8);
  if (m > 1.4142135623730951) m *= 0.5, n++;
  double s = (m - 1) / (m + 1), q = s * s;
  double p = 1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13 + q * (1.0 / 15)));
  p = 1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * p)));
  return (double)n * 0.69314718055994530942 + 2 * s * p;
}

static inline float vlm_log1(float x) {
  if (x != x || x < 0) return vlm_from_bits(0x7fc00000);
  if (x == 0) return vlm_from_bits(0xff800000);
  if (vlm_bits(x) == 0x7f800000) return x;
  return (float)vlm_log_f64(x);
}

// log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|).
static inline float vlm_softplus1(float x) {
  if (x != x) return x;
  float tail = (float)vlm_log_f64(1.0 + (double)vlm_exp1(-vlm_abs1(x)));
  return (x > 0 ? x : 0) + tail;
}

// cos and sin of an angle: quadrant and remainder in f64, Taylor polynomials on |r| ≤ π/4.
static inline void vlm_cos_sin1(float angle, float *cosine, float *sine) {
  double x = angle, magic = 0x1.8p52, n = (x * VLM_TWO_OVER_PI + magic) - magic;
  if (!(n > -1e9 && n < 1e9)) {
    *cosine = *sine = angle - angle;
    return;
  }
  double r = (x - n * VLM_PIO2_HIGH) - n * VLM_PIO2_LOW, s = r * r;
  double c = 1.0 / 40320 + s * (-1.0 / 3628800 + s * (1.0 / 479001600));
  c = 1 + s * (-1.0 / 2 + s * (1.0 / 24 + s * (-1.0 / 720 + s * c)));
  double d = 1.0 / 362880 + s * (-1.0 / 39916800 + s * (1.0 / 6227020800.0));
  d = r + r * s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * d)));
  switch ((int64_t)n & 3) {
    case 0: *cosine = (float)c, *sine = (float)d; break;
    case 1: *cosine = (float)-d, *sine = (float)c; break;
    case 2: *cosine = (float)-c, *sine = (float)-d; break;
    default: *cosine = (float)d, *sine = (float)-c; break;
  }
}

static inline float vlm_activate1(vlm_activation activation, float x) {
  switch (activation) {
    case VLM_ACTIVATION_NONE: return x;
    case VLM_ACTIVATION_SILU: return x * vlm_sigmoid1(x);
    case VLM_ACTIVATION_QUICK_GELU: return x * vlm_sigmoid1(1.702f * x);
    case VLM_ACTIVATION_RELU: return x < 0 ? 0 : x;
    case VLM_ACTIVATION_GELU_ERF: return 0.5f * x * (1.0f + vlm_erf1(x * VLM_SQRT_HALF));
    case VLM_ACTIVATION_GELU_TANH: return 0.5f * x * (1.0f + vlm_tanh1(VLM_SQRT_2_OVER_PI * (x + 0.044715f * x * x * x)));
  }
  return x;
}

#endif
