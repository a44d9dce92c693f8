#ifndef VLM_RATE_H
#define VLM_RATE_H
#include "internal.h"

enum { VLM_RATE_CHAINS = 12, VLM_RATE_TILES = 4 };  // independent dependency chains, so few that registers hold them

uint64_t vlm_rate_read_avx2(int64_t iterations, const void *buffer, size_t bytes);
uint64_t vlm_rate_read_avx512(int64_t iterations, const void *buffer, size_t bytes);
uint64_t vlm_rate_fma_avx2(int64_t iterations);
uint64_t vlm_rate_fma_avx512(int64_t iterations);
uint64_t vlm_rate_int8_pairs_avx2(int64_t iterations);
uint64_t vlm_rate_int8_pairs_avx512(int64_t iterations);
uint64_t vlm_rate_int16_pairs_avx2(int64_t iterations);
uint64_t vlm_rate_int16_pairs_avx512(int64_t iterations);
uint64_t vlm_rate_bf16_avx512bf16(int64_t iterations);
uint64_t vlm_rate_int8_avxvnni(int64_t iterations);
uint64_t vlm_rate_int8_avx512vnni(int64_t iterations);
uint64_t vlm_rate_int16_avxvnni(int64_t iterations);
uint64_t vlm_rate_int16_avx512vnni(int64_t iterations);
uint64_t vlm_rate_tiles_amx(int64_t iterations, bool bf16);
uint64_t vlm_rate_read_neon(int64_t iterations, const void *buffer, size_t bytes);
uint64_t vlm_rate_fma_neon(int64_t iterations);
uint64_t vlm_rate_int8_neondot(int64_t iterations);

#endif
