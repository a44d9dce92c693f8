#include "../math_scalar.h"

#if VLM_AARCH64
#include <arm_neon.h>
#include "simd_neon.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/row_pointers.inl"
#include "../vectors/linear_f4_int8_blocks.inl"
#define V_HAS_DOT 0
#include "dots.inl"
#include "linear_f4_int8.inl"

void vlm_linear_f4_int8_4x8_neon(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_f4_int8(a, begin, end, scratch); }
#endif
