#include "rate.h"

// Lanes of f32 in the widest registers.
static double lanes(vlm_isa isa) {
  return vlm_has(isa, VLM_FEATURES_AVX512) ? 16 : vlm_has(isa, VLM_FEATURES_AVX2) ? 8 : vlm_has(isa, VLM_FEATURES_NEON) ? 4 : 1;
}

// Operations of an instruction that multiplies bytes and sums four products; 0 where there is none.
static double byte_dots(vlm_isa isa) {
  return vlm_has(isa, VLM_FEATURES_VNNI) ? 128 : vlm_has(isa, VLM_FEATURES_AVX_VNNI) ? 64 : vlm_has(isa, VLM_FEATURES_NEON_DOT) ? 32 : 0;
}

// Operations of an instruction that multiplies 16-bit numbers and sums two products; 0 where there is none.
static double word_dots(vlm_isa isa) { return vlm_has(isa, VLM_FEATURES_VNNI) ? 64 : vlm_has(isa, VLM_FEATURES_AVX_VNNI) ? 32 : 0; }

double vlm_rate_work(vlm_rate rate, size_t bytes, vlm_isa isa) {
  switch (rate) {
    case VLM_RATE_READ: return (double)(bytes / 512 * 512);
    case VLM_RATE_F32_FMA: return 2 * VLM_RATE_CHAINS * lanes(isa);
    case VLM_RATE_BF16_DOT: return vlm_has(isa, VLM_FEATURES_BF16) ? 64 * VLM_RATE_CHAINS : 0;
    case VLM_RATE_INT8_DOT: return byte_dots(isa) * VLM_RATE_CHAINS;
    case VLM_RATE_INT16_DOT: return word_dots(isa) * VLM_RATE_CHAINS;
    case VLM_RATE_INT8_TILES: return vlm_has(isa, VLM_FEATURES_AMX) ? VLM_RATE_TILES * 2 * 16 * 16 * 64 : 0;
    case VLM_RATE_BF16_TILES: return vlm_has(isa, VLM_FEATURES_AMX) ? VLM_RATE_TILES * 2 * 16 * 16 * 32 : 0;
    case VLM_RATE_INT8_PAIRS: return vlm_has(isa, VLM_FEATURES_AVX2) ? 8 * lanes(isa) * VLM_RATE_CHAINS : 0;
    case VLM_RATE_INT16_PAIRS: return vlm_has(isa, VLM_FEATURES_AVX2) ? 4 * lanes(isa) * VLM_RATE_CHAINS : 0;
  }
  return 0;
}

static uint64_t read_generic(int64_t iterations, const void *buffer, size_t bytes) {
  uint64_t sum[8] = {0};
  for (int64_t n = 0; n < iterations; n++) {
    const uint64_t *p = buffer;
    for (size_t i = 0; i < bytes / 512 * 64; i += 8)
      for (int j = 0; j < 8; j++) sum[j] |= p[i + (size_t)j] + (uint64_t)n;
  }
  return sum[0] | sum[1] | sum[2] | sum[3] | sum[4] | sum[5] | sum[6] | sum[7];
}

static uint64_t fma_generic(int64_t iterations) {
  float sum[VLM_RATE_CHAINS], x = 0.5f;
  for (int j = 0; j < VLM_RATE_CHAINS; j++) sum[j] = (float)j;
  for (int64_t n = 0; n < iterations; n++) {
    __asm__ volatile("" : "+r"(n));
    for (int j = 0; j < VLM_RATE_CHAINS; j++) sum[j] = sum[j] * x + 1.0f;
  }
  for (int j = 1; j < VLM_RATE_CHAINS; j++) sum[0] += sum[j];
  return (uint64_t)sum[0];
}

uint64_t vlm_rate_run(vlm_rate rate, int64_t iterations, const void *buffer, size_t bytes, vlm_isa isa) {
  if (vlm_rate_work(rate, bytes, isa) == 0) return 0;
#if VLM_X86_64
  bool wide = vlm_has(isa, VLM_FEATURES_AVX512), narrow = vlm_has(isa, VLM_FEATURES_AVX2);
  switch (rate) {
    case VLM_RATE_READ:
      if (wide) return vlm_rate_read_avx512(iterations, buffer, bytes);
      return narrow ? vlm_rate_read_avx2(iterations, buffer, bytes) : read_generic(iterations, buffer, bytes);
    case VLM_RATE_F32_FMA:
      if (wide) return vlm_rate_fma_avx512(iterations);
      return narrow ? vlm_rate_fma_avx2(iterations) : fma_generic(iterations);
    case VLM_RATE_BF16_DOT: return vlm_rate_bf16_avx512bf16(iterations);
    case VLM_RATE_INT8_DOT: return vlm_has(isa, VLM_FEATURES_VNNI) ? vlm_rate_int8_avx512vnni(iterations) : vlm_rate_int8_avxvnni(iterations);
    case VLM_RATE_INT16_DOT: return vlm_has(isa, VLM_FEATURES_VNNI) ? vlm_rate_int16_avx512vnni(iterations) : vlm_rate_int16_avxvnni(iterations);
    case VLM_RATE_INT8_PAIRS: return wide ? vlm_rate_int8_pairs_avx512(iterations) : vlm_rate_int8_pairs_avx2(iterations);
    case VLM_RATE_INT8_TILES: return vlm_rate_tiles_amx(iterations, false);
    case VLM_RATE_BF16_TILES: return vlm_rate_tiles_amx(iterations, true);
    case VLM_RATE_INT16_PAIRS: return wide ? vlm_rate_int16_pairs_avx512(iterations) : vlm_rate_int16_pairs_avx2(iterations);
  }
#elif VLM_AARCH64
  if (rate == VLM_RATE_INT8_DOT) return vlm_rate_int8_neondot(iterations);
  if (vlm_has(isa, VLM_FEATURES_NEON)) return rate == VLM_RATE_READ ? vlm_rate_read_neon(iterations, buffer, bytes) : vlm_rate_fma_neon(iterations);
#endif
  return rate == VLM_RATE_READ ? read_generic(iterations, buffer, bytes) : fma_generic(iterations);
}
