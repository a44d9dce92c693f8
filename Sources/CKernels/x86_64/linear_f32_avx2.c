#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#define GEMM_ROWS 6
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#include "../vectors/gemm_body.inl"
#include "../vectors/linear_blocks.inl"

// Inputs k and k + 1 of 8 outputs.
static inline void v_pair_bf16(const uint32_t *w, v_f32 *even, v_f32 *odd) {
  __m256i pair = _mm256_loadu_si256((const void *)w);
  *even = _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16));
  *odd = _mm256_castsi256_ps(_mm256_and_si256(pair, _mm256_set1_epi32((int)0xffff0000)));
}

// Input j of the 8 of an int4 step, of 8 outputs.
VLM_INLINE v_f32 v_nibbles(const uint8_t *w, const int j) {
  __m256i v = _mm256_srli_epi32(_mm256_loadu_si256((const void *)w), j < 4 ? 8 * j : 8 * (j - 4) + 4);
  return _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(15)));
}

// Input j of a step of four of 8-bit weights, of 8 outputs.
VLM_INLINE v_f32 v_bytes(const uint8_t *w, const int j) {
  __m256i v = _mm256_srli_epi32(_mm256_loadu_si256((const void *)w), 8 * j);
  return _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(255)));
}

static inline v_f32 v_from_u16(const uint16_t *p) { return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p))); }

#include "../vectors/linear_f32_body.inl"
#include "../vectors/linear_thin_f32.inl"

void vlm_linear_bf16_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block, block_bf16);
}

void vlm_linear_f32_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block, block_f32);
}

void vlm_linear_int4_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_int4, block_int4);
}

// Few rows and many read the same weights, written out once for all of them.
void vlm_linear_int8_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, NULL, block_int8);
}

#define THIN_FLOAT_CASES(DO) DO(1) DO(2) DO(3)
enum { THIN_FLOAT_PASS = 3 };
#include "../vectors/linear_floats_body.inl"

void vlm_linear_f8_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_f8, block_f8);
}

void vlm_linear_f4_f32_6x16_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_f4, block_f4);
}
#pragma clang attribute pop
#endif
