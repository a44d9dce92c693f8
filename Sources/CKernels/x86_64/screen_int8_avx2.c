#include "../screen.h"

#if VLM_X86_64
#include <immintrin.h>
#define TARGET "avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx2.h"
#include "screen_int8_256.inl"

// Two products fit in 16 bits.
static inline __m256i add(__m256i sum, __m256i w, __m256i x) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}

void vlm_screen_int8_avx2(const vlm_screen_args *a, int64_t begin, int64_t end) { screen(a, begin, end); }
#pragma clang attribute pop
#endif
