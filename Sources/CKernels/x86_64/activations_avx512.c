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

void vlm_pack_bf16_tiles_avx512(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++)
    for (int64_t k = 0; k < vlm_bf16_row(a->inputs); k += 16) {
      uint16_t *y = (uint16_t *)a->packed + vlm_bf16_at(a->rows, a->inputs, t, k, VLM_FEATURES_AMX);
      v_to_bf16(y, v_load_part(v_first(a->inputs - k), a->x + t * a->x_stride + k));
    }
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

// Rounds a multiple of 16 numbers; returns their sum.
static inline int32_t round_numbers(const float *x, int64_t count, rounding r, int8_t *q) {
  const v_f32 limit = v_set1(127);
  __m512i sum = _mm512_setzero_si512();
  for (int64_t k = 0; k < count; k += 16) {
    __m512i whole = _mm512_cvtps_epi32(v_max(v_min(v_mul(v_load(x + k), r.inverse), limit), v_sub(v_zero(), limit)));
    _mm_storeu_si128((void *)(q + k), _mm512_cvtepi32_epi8(whole));
    sum = _mm512_add_epi32(sum, whole);
  }
  return _mm512_reduce_add_epi32(sum);
}

#define SUFFIXED(name) name##_avx512
#include "../activations_int8.inl"

// One row among those that lie as tiles.
static void pack_in_tiles(const vlm_pack_activations_args *a, int64_t t) {
  const int64_t depth = vlm_i8_tile_depth(a->group), groups = a->inputs / a->group, row = t % VLM_TILED_ROWS;
  int8_t *codes = (int8_t *)a->packed + (t - row) * (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  float *scales = (float *)(codes + VLM_TILED_ROWS * a->inputs);
  int32_t *sums = (int32_t *)(scales + VLM_TILED_ROWS * groups);
  const float *x = a->x + t * a->x_stride;
  codes += row * depth;
  for (int64_t g = 0; g < groups; g++) {
    const rounding r = rounding_of(x, a->group);
    int32_t sum = 0;
    for (int64_t k = 0; k < a->group; k += depth, x += depth, codes += VLM_TILED_ROWS * depth) sum += round_numbers(x, depth, r, codes);
    scales[g * VLM_TILED_ROWS + row] = r.scale;
    sums[g * VLM_TILED_ROWS + row] = sum;
  }
}

void vlm_pack_int8_tiles_avx512(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  const int64_t tiled = vlm_i8_has_tiles(a->group) ? vlm_tiled_rows(a->rows) : 0;
  for (int64_t t = begin; t < vlm_min(end, tiled); t++) pack_in_tiles(a, t);
  vlm_pack_int8_rows_avx512(a, vlm_max(begin, tiled), end);
}

static inline uint32_t greatest_bits(const float *x, int64_t count) {
  __m512i most = _mm512_setzero_si512();
  // Whole numbers have the order of the magnitudes, those that are no numbers above all.
  for (int64_t k = 0; k < count; k += 16) most = _mm512_max_epu32(most, _mm512_castps_si512(v_abs(v_load_part(v_first(count - k), x + k))));
  return _mm512_reduce_max_epu32(most);
}

// Codes of `count` numbers and zeros up to a multiple of 16.
static inline void round_codes(const float *x, int64_t count, float inverse, int16_t *q) {
  const v_f32 factor = v_set1(inverse), magic = v_set1(VLM_I16_MAGIC);
  for (int64_t k = 0; k < count; k += 16) {
    v_f32 whole = v_fma(v_load_part(v_first(count - k), x + k), factor, magic);
    _mm256_storeu_si256((void *)(q + k), _mm512_cvtepi32_epi16(_mm512_castps_si512(whole)));
  }
}

#include "../activations_int16.inl"
#pragma clang attribute pop
#endif
