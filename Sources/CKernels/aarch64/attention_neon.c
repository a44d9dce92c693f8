#include "../attention.h"

#if VLM_AARCH64
#include "simd_neon.h"
#include "../vectors/math_body.inl"
#define GEMM_ROWS 4
#define GEMM_CASES(DO) DO(1) DO(2) DO(3) DO(4)
#include "../vectors/gemm_body.inl"
#define STREAM_WIDE 2
#include "../vectors/stream_body.inl"
#include "../vectors/attention_body.inl"

void vlm_attend_neon(const vlm_query_tile *tile, const vlm_key_tile *keys) { attend(tile, keys); }
void vlm_transpose_neon(const float *x, int64_t x_stride, int64_t rows, int64_t columns, float *y, int64_t y_stride) {
  transpose(x, x_stride, rows, columns, y, y_stride);
}
void vlm_fold_neon(float *total, float kept, const float *out, float added, int64_t floats) { fold(total, kept, out, added, floats); }
#endif
