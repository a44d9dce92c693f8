#include "../screen.h"

#if VLM_AARCH64
#include <arm_neon.h>
#include "simd_neon.h"
#define V_HAS_DOT 0
#include "dots.inl"
#include "screen_int8.inl"

void vlm_screen_int8_neon(const vlm_screen_args *a, int64_t begin, int64_t end) { screen(a, begin, end); }
#endif
