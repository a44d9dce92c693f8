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
#if defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define VLM_AARCH64 1
// Compilers fuse products with sums here, as they cannot on x86-64; without that, generic code computes the same bits on both.
#pragma clang fp contract(off)
#else
#define VLM_AARCH64 0
#endif

// For bodies whose constant arguments must be known where they are compiled.
#define VLM_INLINE static inline __attribute__((always_inline))

// The features that the versions in x86_64/ and aarch64/ are compiled for, as constant expressions.
#define VLM_FEATURES_AVX2 1u
#define VLM_FEATURES_AVX512 (VLM_FEATURES_AVX2 | 2u)
#define VLM_FEATURES_VNNI (VLM_FEATURES_AVX512 | 4u)
#define VLM_FEATURES_BF16 (VLM_FEATURES_AVX512 | 8u)
#define VLM_FEATURES_AVX_VNNI (VLM_FEATURES_AVX2 | 16u)
#define VLM_FEATURES_NEON 32u
#define VLM_FEATURES_NEON_DOT (VLM_FEATURES_NEON | 64u)
#define VLM_FEATURES_AMX (VLM_FEATURES_VNNI | VLM_FEATURES_BF16 | 128u)

// The least features with which this architecture has vectors, and of a function of rows the last version that `isa` allows.
#if VLM_X86_64
#define VLM_FEATURES_VECTORS VLM_FEATURES_AVX2
#define VLM_ROWWISE(name, isa) \
  (vlm_has(isa, VLM_FEATURES_AVX512) ? name##_avx512 : vlm_has(isa, VLM_FEATURES_AVX2) ? name##_avx2 : name##_generic)
#elif VLM_AARCH64
#define VLM_FEATURES_VECTORS VLM_FEATURES_NEON
#define VLM_ROWWISE(name, isa) (vlm_has(isa, VLM_FEATURES_NEON) ? name##_neon : name##_generic)
#else
#define VLM_FEATURES_VECTORS (1u << 31)
#define VLM_ROWWISE(name, isa) ((void)isa, name##_generic)
#endif

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

// Twice an e2m1 number of four bits.
static inline int vlm_twice_f4(unsigned code) {
  static const int8_t numbers[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  return numbers[code & 15];
}

// Bytes of the scales before the codes of an F8 block, and from one block to the next.
enum { VLM_F8_SCALE_BYTES = VLM_PANEL * 4 };
static inline int64_t vlm_f8_block_bytes(int64_t group) { return VLM_F8_SCALE_BYTES + group * VLM_PANEL; }

// Input k of an output of an F8 block, times the output's scale.
static inline float vlm_f8_value(const uint8_t *block, int64_t lane, int64_t k) {
  const uint8_t code = block[VLM_F8_SCALE_BYTES + k * VLM_PANEL + lane % (VLM_PANEL / 2) * 2 + lane / (VLM_PANEL / 2)];
  return vlm_from_f8(code) * ((const float *)block)[lane];
}

// The half-byte of input k of an output in steps of 8 inputs.
static inline unsigned vlm_nibble(const uint8_t *steps, int64_t lane, int64_t k) {
  return steps[k / 8 * (VLM_PANEL * 4) + lane * 4 + k % 4] >> (k % 8 < 4 ? 0 : 4) & 15;
}

// Inputs of a block of an F4 panel, behind the panel's output scales.
enum { VLM_F4_BLOCK = 128, VLM_F4_OUTPUT_SCALE_BYTES = VLM_PANEL * 4 };

// Bytes of the scales before a block's codes.
static inline int64_t vlm_f4_scale_bytes(int64_t group) { return VLM_F4_BLOCK / group * VLM_PANEL; }

// Where the codes of input k of an F4 panel begin, and the scales of its group.
static inline int64_t vlm_f4_codes_at(int64_t k, int64_t group) {
  return VLM_F4_OUTPUT_SCALE_BYTES + (k / VLM_F4_BLOCK + 1) * vlm_f4_scale_bytes(group) + k / 8 * (VLM_PANEL * 4);
}
static inline int64_t vlm_f4_scales_at(int64_t k, int64_t group) {
  return vlm_f4_codes_at(k / VLM_F4_BLOCK * VLM_F4_BLOCK, group) - vlm_f4_scale_bytes(group) + k % VLM_F4_BLOCK / group * VLM_PANEL;
}

// A scale of an F4 block as a float without its output's.
static inline float vlm_f4_scale_of_group(uint8_t code, int64_t group) {
  return group == 16 ? vlm_from_f8(code) : vlm_from_bits((uint32_t)code << 23);
}

// The scale of an output in the group of input k, in f32.
static inline float vlm_f4_scale(const uint8_t *panel, int64_t group, int64_t lane, int64_t k) {
  return vlm_f4_scale_of_group(panel[vlm_f4_scales_at(k, group) + lane], group) * ((const float *)panel)[lane];
}

// Twice the e2m1 number of input k of an output.
static inline int vlm_f4_twice(const uint8_t *panel, int64_t group, int64_t lane, int64_t k) {
  return vlm_twice_f4(vlm_nibble(panel + vlm_f4_codes_at(k / 8 * 8, group), lane, k % 8));
}

// The scales of an F4 block's groups of one output have a common unit, the greatest's power of two · 2⁻¹², in which each is a whole number
// below 2¹³. `unit` of the greatest scale's bits gives the unit's bits, `inverse` those of the inverse.
static inline uint32_t vlm_f4_unit(uint32_t greatest) {
  const uint32_t power = greatest & 0x7f800000, least = 13u << 23;
  return (power > least ? power : least) - (12u << 23);
}
static inline uint32_t vlm_f4_inverse(uint32_t unit) { return (254u << 23) - unit; }

// What kernels add to int4 codes less their zeros, and to e2m1 codes, to have them in u8.
enum { VLM_I8_CENTRE = 16 };

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

// With AMX packed rows lie as tiles, so many together; what is left of them as without. They take the same bytes.
enum { VLM_TILED_ROWS = 32 };
static inline int64_t vlm_tiled_rows(int64_t rows) { return rows / VLM_TILED_ROWS * VLM_TILED_ROWS; }

// Such int8 rows: codes [inputs/depth][VLM_TILED_ROWS][depth], f32 scales [inputs/group][VLM_TILED_ROWS], and sums alike. Others where groups are no
// whole tiles.
static inline int64_t vlm_i8_tile_depth(int64_t group) { return vlm_min(group, 64); }
static inline bool vlm_i8_has_tiles(int64_t group) { return group % 64 == 0 || group == 32; }

// VLM_F4_DOT inputs of a packed row of blocks, whose integers are summed before the weights' scales meet them.
enum { VLM_F4_DOT = 16 };
typedef struct {
  int8_t q[VLM_F4_DOT];
  uint32_t start;  // the low 16 bits of −VLM_I8_CENTRE · Σ q, zeros above
} vlm_f4_dot;

// VLM_F4_BLOCK inputs of a packed row of blocks.
typedef struct {
  vlm_f4_dot dots[VLM_F4_BLOCK / VLM_F4_DOT];
  float scale;
} vlm_f4_row_block;

// What follows the codes of a block of 8-bit weights.
typedef struct {
  float scale[VLM_PANEL];
  uint16_t zero[VLM_PANEL];
} vlm_int8_tail;

// Bytes from one block of 8-bit weights to the next.
static inline int64_t vlm_int8_block_bytes(int64_t group) { return group * VLM_PANEL + (int64_t)sizeof(vlm_int8_tail); }

// Inputs whose 16-bit codes have one scale, and the greatest code: a block's sum of products fits in 31 bits.
enum { VLM_I16_BLOCK = 256, VLM_I16_MOST = 2895 };

// Numbers of a block below this in magnitude are all zero.
#define VLM_I16_LEAST 1e-30f

// Added to a number of at most 2²¹ by one rounding, it leaves the nearest whole number, ties to even, in the low bits.
#define VLM_I16_MAGIC 0x1.8p23f

// How a block becomes codes: times `inverse`, and back times `scale`.
typedef struct {
  float scale, inverse;
} vlm_i16_rounding;

// Of numbers whose greatest magnitude has these bits and becomes the code `code_most`. Such with one that is not finite have no codes and make
// sums NaN.
static inline vlm_i16_rounding vlm_i16_rounding_to(uint32_t greatest, float code_most) {
  const float most = vlm_from_bits(greatest);
  if (greatest >= 0x7f800000) return (vlm_i16_rounding){vlm_from_bits(0x7fc00000), 0};
  if (most < VLM_I16_LEAST) return (vlm_i16_rounding){0, 0};
  return (vlm_i16_rounding){most / code_most, code_most / most};
}

// Of a block of inputs.
static inline vlm_i16_rounding vlm_i16_rounding_of(uint32_t greatest) { return vlm_i16_rounding_to(greatest, VLM_I16_MOST); }

// Bytes of the codes of a packed row, behind which its scales lie.
static inline int64_t vlm_i16_code_bytes(int64_t inputs) { return (inputs + 31) / 32 * 64; }

// Elements of a packed bf16 row.
static inline int64_t vlm_bf16_row(int64_t inputs) { return (inputs + 31) / 32 * 32; }

// Where input k of packed bf16 row t of `rows` lies, in elements: such rows as tiles are [inputs/32][VLM_TILED_ROWS][32].
static inline int64_t vlm_bf16_at(int64_t rows, int64_t inputs, int64_t t, int64_t k, vlm_isa isa) {
  const int64_t stride = vlm_bf16_row(inputs), row = t % VLM_TILED_ROWS;
  if (!vlm_has(isa, VLM_FEATURES_AMX) || t >= vlm_tiled_rows(rows)) return t * stride + k;
  return (t - row) * stride + (k / 32 * VLM_TILED_ROWS + row) * 32 + k % 32;
}

// A version of the linear kernel computes panels [begin, end) of checked arguments.
typedef void vlm_linear_fn(const vlm_linear_args *args, int64_t begin, int64_t end, void *scratch);
typedef void vlm_pack_activations_fn(const vlm_pack_activations_args *args, int64_t begin, int64_t end);

#endif
