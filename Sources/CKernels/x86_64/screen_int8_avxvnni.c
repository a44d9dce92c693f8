#include "../screen.h"

#if VLM_X86_64
#include <immintrin.h>
#define TARGET "avx2,fma,f16c,avxvnni"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx2.h"
#include "screen_int8_256.inl"

static inline __m256i add(__m256i sum, __m256i w, __m256i x) { return _mm256_dpbusd_avx_epi32(sum, w, x); }

void vlm_screen_int8_avxvnni(const vlm_screen_args *a, int64_t begin, int64_t end) { screen(a, begin, end); }
#pragma clang attribute pop
#endif
