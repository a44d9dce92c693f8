#include "../rate.h"

#if VLM_X86_64
#include <immintrin.h>

// Keeps a vector in a register and its value unknown to the compiler, so that no iteration is folded away.
#define KEEP(v) __asm__ volatile("" : "+v"(v))

// VLM_RATE_CHAINS accumulators `a` go through STEP in every iteration.
#define RUN(TYPE, START, STEP) \
  TYPE a[VLM_RATE_CHAINS]; \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < VLM_RATE_CHAINS; i++) a[i] = START; \
  for (int64_t n = 0; n < iterations; n++) { \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < VLM_RATE_CHAINS; i++) { \
      a[i] = STEP; \
      KEEP(a[i]); \
    } \
  } \
  for (int i = 1; i < VLM_RATE_CHAINS; i++) a[0] += a[i];

#define AVX512 "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"

__attribute__((target("avx2,fma"))) uint64_t vlm_rate_fma_avx2(int64_t iterations) {
  __m256 x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(1);
  RUN(__m256, _mm256_set1_ps((float)i), _mm256_fmadd_ps(a[i], x, y))
  return (uint64_t)_mm256_cvtss_f32(a[0]);
}

__attribute__((target(AVX512))) uint64_t vlm_rate_fma_avx512(int64_t iterations) {
  __m512 x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(1);
  RUN(__m512, _mm512_set1_ps((float)i), _mm512_fmadd_ps(a[i], x, y))
  return (uint64_t)_mm512_cvtss_f32(a[0]);
}

__attribute__((target(AVX512 ",avx512bf16"))) uint64_t vlm_rate_bf16_avx512bf16(int64_t iterations) {
  __m512bh x = (__m512bh)_mm512_set1_epi16(0x3c00);
  RUN(__m512, _mm512_set1_ps((float)i), _mm512_dpbf16_ps(a[i], x, x))
  return (uint64_t)_mm512_cvtss_f32(a[0]);
}

__attribute__((target(AVX512 ",avx512vnni"))) uint64_t vlm_rate_int8_avx512vnni(int64_t iterations) {
  __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(-2);
  RUN(__m512i, _mm512_set1_epi32(i), _mm512_dpbusd_epi32(a[i], x, y))
  return (uint64_t)_mm512_reduce_add_epi32(a[0]);
}

// Four places of the buffer at once, a quarter each.
__attribute__((target(AVX512))) uint64_t vlm_rate_read_avx512(int64_t iterations, const void *buffer, size_t bytes) {
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  size_t quarter = bytes / 512 * 128;
  for (int64_t n = 0; n < iterations; n++) {
    const char *p = buffer;
    for (size_t i = 0; i < quarter; i += 128, p += 128)
      for (size_t half = 0; half < 128; half += 64) {
        a = _mm512_or_si512(a, _mm512_load_si512(p + half));
        b = _mm512_or_si512(b, _mm512_load_si512(p + half + quarter));
        c = _mm512_or_si512(c, _mm512_load_si512(p + half + 2 * quarter));
        d = _mm512_or_si512(d, _mm512_load_si512(p + half + 3 * quarter));
      }
    KEEP(a);
  }
  return (uint64_t)_mm512_reduce_or_epi64(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)));
}
#endif
