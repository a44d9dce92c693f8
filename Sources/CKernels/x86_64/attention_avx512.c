#include "../attention.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#define GEMM_ROWS 12
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#include "../vectors/gemm_body.inl"
#define STREAM_WIDE 6
#include "../vectors/stream_body.inl"
#include "../vectors/attention_body.inl"

void vlm_attend_avx512(const vlm_query_tile *tile, const vlm_key_tile *keys) { attend(tile, keys); }
void vlm_transpose_avx512(const float *x, int64_t x_stride, int64_t rows, int64_t columns, float *y, int64_t y_stride) {
  transpose(x, x_stride, rows, columns, y, y_stride);
}
void vlm_fold_avx512(float *total, float kept, const float *out, float added, int64_t floats) { fold(total, kept, out, added, floats); }
#pragma clang attribute pop
#endif
