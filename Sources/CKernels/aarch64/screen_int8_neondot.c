#include "../screen.h"

#if VLM_AARCH64
#include <arm_neon.h>
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#include "simd_neon.h"
#define V_HAS_DOT 1
#include "dots.inl"
#include "screen_int8.inl"

void vlm_screen_int8_neondot(const vlm_screen_args *a, int64_t begin, int64_t end) { screen(a, begin, end); }
#pragma clang attribute pop
#endif
