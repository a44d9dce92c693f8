// Shared by the kernels of this module: types of versions per instruction set, layouts, argument checks.
#ifndef VLM_INTERNAL_H
#define VLM_INTERNAL_H

#include <stdbool.h>

#include "vlm_kernels.h"

#if defined(__x86_64__)
#define VLM_X86_64 1
#else
#define VLM_X86_64 0
#endif

// For bodies whose constant arguments must be known where they are compiled.
#define VLM_INLINE static inline __attribute__((always_inline))

// The features that the versions in x86_64/ are compiled for, as constant expressions.
#define VLM_FEATURES_AVX2 1u
#define VLM_FEATURES_AVX512 (VLM_FEATURES_AVX2 | 2u)
#define VLM_FEATURES_VNNI (VLM_FEATURES_AVX512 | 4u)
#define VLM_FEATURES_BF16 (VLM_FEATURES_AVX512 | 8u)

static inline int64_t vlm_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t vlm_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t vlm_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline size_t vlm_align64(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
static inline bool vlm_is_aligned(const void *p) { return ((uintptr_t)p & 63) == 0; }

// Whether all features of `needs` are in `isa`.
static inline bool vlm_has(vlm_isa isa, vlm_isa needs) { return (isa & needs) == needs; }

static inline uint32_t vlm_bits(float x) {
  uint32_t u;
  __builtin_memcpy(&u, &x, 4);
  return u;
}

static inline float vlm_from_bits(uint32_t u) {
  float x;
  __builtin_memcpy(&x, &u, 4);
  return x;
}

static inline float vlm_from_bf16(uint16_t h) { return vlm_from_bits((uint32_t)h << 16); }

// Nearest even; NaN stays NaN.
static inline uint16_t vlm_to_bf16(float x) {
  uint32_t u = vlm_bits(x);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float vlm_from_f16(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff;
  if (exponent == 31) return vlm_from_bits(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return vlm_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  float magnitude = (float)mantissa * 0x1p-24f;
  return vlm_from_bits(sign | vlm_bits(magnitude));
}

// Nearest even; beyond the range infinite, NaN stays NaN.
static inline uint16_t vlm_to_f16(float x) {
  uint32_t u = vlm_bits(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
  if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00);
  if (magnitude < 0x38800000) {
    // Below the normal numbers: the sum with ½ rounds at the place of 2⁻²⁴.
    float shifted = vlm_from_bits(magnitude) + 0.5f;
    return (uint16_t)(sign | (vlm_bits(shifted) - vlm_bits(0.5f)));
  }
  return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

// Whole numbers 0..15 as f16.
static inline uint16_t vlm_small_to_f16(unsigned v) {
  unsigned exponent = 0;
  if (v == 0) return 0;
  while (v >> (exponent + 1)) exponent++;
  return (uint16_t)((exponent + 15) << 10 | (v << (10 - exponent) & 0x3ff));
}

// 2⁻⁸ times an e4m3 number that is not NaN: the same exponent and mantissa as f16.
static inline float vlm_from_f8(uint8_t code) { return vlm_from_f16((uint16_t)((code & 0x80) << 8 | (code & 0x7f) << 7)); }

// An e2m1 number, of the lowest four bits.
static inline float vlm_from_f4(unsigned code) {
  static const float magnitudes[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  return code & 8 ? -magnitudes[code & 7] : magnitudes[code & 7];
}

// Bytes of the codes of n inputs in a block of small floats, before which VLM_PANEL scales lie.
static inline int64_t vlm_float_code_bytes(vlm_weight_format format, int64_t n) { return n * VLM_PANEL / (format == VLM_WEIGHT_F4 ? 2 : 1); }
enum { VLM_FLOAT_SCALE_BYTES = VLM_PANEL * 4 };

// Bytes from one block of small floats to the next.
static inline int64_t vlm_float_block_bytes(vlm_weight_format format, int64_t group) {
  return VLM_FLOAT_SCALE_BYTES + vlm_float_code_bytes(format, group);
}

// Input k of an output of a block of small floats, times the output's scale.
static inline float vlm_float_value(vlm_weight_format format, const uint8_t *block, int64_t lane, int64_t k) {
  const uint8_t *codes = block + VLM_FLOAT_SCALE_BYTES;
  float scale = ((const float *)block)[lane];
  if (format == VLM_WEIGHT_F8) return vlm_from_f8(codes[k * VLM_PANEL + lane % (VLM_PANEL / 2) * 2 + lane / (VLM_PANEL / 2)]) * scale;
  return vlm_from_f4(codes[k / 8 * (VLM_PANEL * 4) + lane * 4 + k % 8 / 2] >> k % 2 * 4) * scale;
}

enum { VLM_I8_CENTRE_BITS = 4, VLM_I8_CENTRE = 1 << VLM_I8_CENTRE_BITS };

// What follows the int8 numbers of a group in a packed row.
typedef struct {
  float scale;
  int32_t sum;
} vlm_i8_tail;

// Bytes from one group of a packed int8 row to the next.
static inline int64_t vlm_i8_group_bytes(int64_t group) { return group + (int64_t)sizeof(vlm_i8_tail); }

static inline vlm_i8_tail vlm_i8_tail_at(const void *end) {
  vlm_i8_tail tail;
  __builtin_memcpy(&tail, end, sizeof tail);
  return tail;
}

// What follows the codes of a block of 8-bit weights.
typedef struct {
  float scale[VLM_PANEL];
  uint16_t zero[VLM_PANEL];
} vlm_int8_tail;

// Bytes from one block of 8-bit weights to the next.
static inline int64_t vlm_int8_block_bytes(int64_t group) { return group * VLM_PANEL + (int64_t)sizeof(vlm_int8_tail); }

// Elements of a packed bf16 row.
static inline int64_t vlm_bf16_row(int64_t inputs) { return (inputs + 31) / 32 * 32; }

// A version of the linear kernel computes panels [begin, end) of checked arguments.
typedef void vlm_linear_fn(const vlm_linear_args *args, int64_t begin, int64_t end, void *scratch);
typedef void vlm_pack_activations_fn(const vlm_pack_activations_args *args, int64_t begin, int64_t end);

#endif
