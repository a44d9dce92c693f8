#include "../rate.h"

#if VLM_X86_64
#include "tiles_amx.h"

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

__attribute__((target("avx2,fma,avxvnni"))) uint64_t vlm_rate_int8_avxvnni(int64_t iterations) {
  __m256i x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(-2);
  RUN(__m256i, _mm256_set1_epi32(i), _mm256_dpbusd_avx_epi32(a[i], x, y))
  return (uint64_t)_mm_cvtsi128_si32(_mm256_castsi256_si128(a[0]));
}

__attribute__((target(AVX512 ",avx512vnni"))) uint64_t vlm_rate_int8_avx512vnni(int64_t iterations) {
  __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(-2);
  RUN(__m512i, _mm512_set1_epi32(i), _mm512_dpbusd_epi32(a[i], x, y))
  return (uint64_t)_mm512_reduce_add_epi32(a[0]);
}

__attribute__((target("avx2,fma,avxvnni"))) uint64_t vlm_rate_int16_avxvnni(int64_t iterations) {
  __m256i x = _mm256_set1_epi16(3), y = _mm256_set1_epi16(-2);
  RUN(__m256i, _mm256_set1_epi32(i), _mm256_dpwssd_avx_epi32(a[i], x, y))
  return (uint64_t)_mm_cvtsi128_si32(_mm256_castsi256_si128(a[0]));
}

__attribute__((target(AVX512 ",avx512vnni"))) uint64_t vlm_rate_int16_avx512vnni(int64_t iterations) {
  __m512i x = _mm512_set1_epi16(3), y = _mm512_set1_epi16(-2);
  RUN(__m512i, _mm512_set1_epi32(i), _mm512_dpwssd_epi32(a[i], x, y))
  return (uint64_t)_mm512_reduce_add_epi32(a[0]);
}

// vpmaddubsw and vpaddw: the product is made anew for each chain, since `y` might have changed.
#define INT8_PAIRS(BITS) \
  __m##BITS##i x = _mm##BITS##_set1_epi8(3), y = _mm##BITS##_set1_epi8(-2); \
  RUN(__m##BITS##i, _mm##BITS##_set1_epi16((short)i), _mm##BITS##_add_epi16(a[i], _mm##BITS##_maddubs_epi16(x, fresh(y))))

// vpmaddwd and vpaddd.
#define INT16_PAIRS(BITS) \
  __m##BITS##i x = _mm##BITS##_set1_epi16(3), y = _mm##BITS##_set1_epi16(-2); \
  RUN(__m##BITS##i, _mm##BITS##_set1_epi32(i), _mm##BITS##_add_epi32(a[i], _mm##BITS##_madd_epi16(x, fresh(y))))

// A value that the compiler does not know to be the one before.
#define fresh(v) ({ KEEP(v); v; })

__attribute__((target("avx2,fma"))) uint64_t vlm_rate_int8_pairs_avx2(int64_t iterations) {
  INT8_PAIRS(256)
  return (uint64_t)_mm256_extract_epi64(a[0], 0);
}

__attribute__((target(AVX512))) uint64_t vlm_rate_int8_pairs_avx512(int64_t iterations) {
  INT8_PAIRS(512)
  return (uint64_t)_mm512_reduce_add_epi64(a[0]);
}

__attribute__((target("avx2,fma"))) uint64_t vlm_rate_int16_pairs_avx2(int64_t iterations) {
  INT16_PAIRS(256)
  return (uint64_t)_mm256_extract_epi64(a[0], 0);
}

__attribute__((target(AVX512))) uint64_t vlm_rate_int16_pairs_avx512(int64_t iterations) {
  INT16_PAIRS(512)
  return (uint64_t)_mm512_reduce_add_epi64(a[0]);
}

__attribute__((target("amx-tile,amx-int8,amx-bf16"))) uint64_t vlm_rate_tiles_amx(int64_t iterations, bool bf16) {
  int32_t sums[TILE_ROWS][TILE_BYTES / 4];
  tiles_begin(TILE_BYTES, TILE_ROWS, TILE_ROWS);
  for (int64_t n = 0; n < iterations; n++) {
    if (bf16) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    } else {
      _tile_dpbssd(0, 4, 6);
      _tile_dpbssd(1, 4, 7);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
  }
  _tile_stored(0, sums, TILE_BYTES);
  _tile_release();
  return (uint64_t)sums[0][0];
}

// Four places of the buffer at once, a quarter each.
#define READ(TYPE, WIDTH, ZERO, OR, LOAD) \
  TYPE a = ZERO, b = a, c = a, d = a; \
  size_t quarter = bytes / 512 * 128; \
  for (int64_t n = 0; n < iterations; n++) { \
    const char *p = buffer; \
    for (size_t i = 0; i < quarter; i += 128, p += 128) \
      for (size_t part = 0; part < 128; part += WIDTH) { \
        a = OR(a, LOAD((const void *)(p + part))); \
        b = OR(b, LOAD((const void *)(p + part + quarter))); \
        c = OR(c, LOAD((const void *)(p + part + 2 * quarter))); \
        d = OR(d, LOAD((const void *)(p + part + 3 * quarter))); \
      } \
    KEEP(a); \
  } \
  a = OR(OR(a, b), OR(c, d));

__attribute__((target("avx2,fma"))) uint64_t vlm_rate_read_avx2(int64_t iterations, const void *buffer, size_t bytes) {
  READ(__m256i, 32, _mm256_setzero_si256(), _mm256_or_si256, _mm256_load_si256)
  return (uint64_t)(_mm256_extract_epi64(a, 0) | _mm256_extract_epi64(a, 1) | _mm256_extract_epi64(a, 2) | _mm256_extract_epi64(a, 3));
}

__attribute__((target(AVX512))) uint64_t vlm_rate_read_avx512(int64_t iterations, const void *buffer, size_t bytes) {
  READ(__m512i, 64, _mm512_setzero_si512(), _mm512_or_si512, _mm512_load_si512)
  return (uint64_t)_mm512_reduce_or_epi64(a);
}
#endif
