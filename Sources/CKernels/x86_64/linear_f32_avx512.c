#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#define GEMM_ROWS 12
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#include "../vectors/gemm_body.inl"
#include "../vectors/linear_blocks.inl"

// Inputs k and k + 1 of 16 outputs.
static inline void v_pair_bf16(const uint32_t *w, v_f32 *even, v_f32 *odd) {
  __m512i pair = _mm512_loadu_si512(w);
  *even = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
  *odd = _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32((int)0xffff0000)));
}

// Input j of the 8 of an int4 step, of 16 outputs.
VLM_INLINE v_f32 v_nibbles(const uint8_t *w, const int j) {
  __m512i v = _mm512_srli_epi32(_mm512_loadu_si512(w), (unsigned)(j < 4 ? 8 * j : 8 * (j - 4) + 4));
  return _mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(15)));
}

// Input j of a step of four of 8-bit weights, of 16 outputs.
VLM_INLINE v_f32 v_bytes(const uint8_t *w, const int j) {
  __m512i v = _mm512_srli_epi32(_mm512_loadu_si512(w), (unsigned)(8 * j));
  return _mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(255)));
}

static inline v_f32 v_from_u16(const uint16_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p))); }

#include "../vectors/linear_f32_body.inl"
#include "../vectors/linear_thin_f32.inl"

void vlm_linear_bf16_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block, block_bf16);
}

void vlm_linear_f32_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block, block_f32);
}

void vlm_linear_int4_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_int4, block_int4);
}

// Few rows and many read the same weights, written out once for all of them.
void vlm_linear_int8_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, NULL, block_int8);
}

#define THIN_FLOAT_CASES(DO) GEMM_CASES(DO)
enum { THIN_FLOAT_PASS = GEMM_ROWS };
#include "../vectors/linear_floats_body.inl"

void vlm_linear_f8_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_f8, block_f8);
}

void vlm_linear_f4_f32_12x32_avx512(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_f32(a, begin, end, scratch, thin_block_f4, block_f4);
}
#pragma clang attribute pop
#endif
