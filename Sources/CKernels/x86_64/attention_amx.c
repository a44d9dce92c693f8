#include "../attention.h"

#if VLM_X86_64
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c,amx-tile,amx-bf16"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "tiles_amx.h"
#include "../vectors/math_body.inl"
#include "attention_amx.inl"

// Rounds the queries to bf16, each row in its place.
static void round_queries(const vlm_query_tile *tile) {
  for (int64_t r = 0; r < tile->rows; r++) {
    float *q = tile->q + r * tile->stride;
    uint16_t *y = (uint16_t *)q;
    for (int64_t i = 0; i < vlm_ceil_div(tile->head_dim, DEPTH) * DEPTH; i += V_WIDTH)
      _mm256_storeu_si256((void *)(y + i), (__m256i)_mm512_cvtneps_pbh(i < tile->stride ? v_load(q + i) : v_zero()));
  }
}

// Which words of two vectors make one of the first or second halves of both in turns.
static inline __m512i halves(const int from) {
  const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1,
                                       32, 0);
  return from ? _mm512_add_epi16(low, _mm512_set1_epi16(16)) : low;
}

// The first `count` of 32 numbers of a row, zeros in place of the others.
VLM_INLINE __m512i numbers(const uint16_t *row, int64_t count) {
  if (count >= DEPTH) return _mm512_loadu_si512(row);
  return _mm512_maskz_loadu_epi16(count > 0 ? (1u << count) - 1 : 0, row);
}

// `whole`: no tile is padded.
VLM_INLINE void pair_keys(const vlm_query_tile *tile, const vlm_key_tile *keys, lines_ahead *asked, const bool whole) {
  const int64_t dim = tile->head_dim, stride = keys->k_stride, depths = vlm_ceil_div(dim, DEPTH);
  const int64_t tokens = vlm_min(stride, vlm_ceil_div(keys->count, DEPTH) * DEPTH);
  const uint16_t *k = keys->k;
  uint32_t *const pairs = tile->paired_k;
  const __m512i low = halves(0), high = halves(1);
  lines_ahead ahead = *asked;
  for (int64_t i = 0; i < depths * DEPTH; i += 2, k += 2 * stride) {
    uint32_t *y = pairs + (i / DEPTH * TILE_ROWS + i % DEPTH / 2) * V_WIDTH;
    for (int64_t j = 0; j < tokens; j += DEPTH, y += 2 * depths * (TILE_SIZE / 4)) {
      const __m512i even = whole || i < dim ? numbers(k + j, whole ? DEPTH : stride - j) : _mm512_setzero_si512();
      const __m512i odd = whole || i + 1 < dim ? numbers(k + stride + j, whole ? DEPTH : stride - j) : _mm512_setzero_si512();
      ask_lines(&ahead, 1);
      _mm512_storeu_si512(y, _mm512_permutex2var_epi16(even, low, odd));
      _mm512_storeu_si512(y + depths * (TILE_SIZE / 4), _mm512_permutex2var_epi16(even, high, odd));
    }
  }
  *asked = ahead;
}

VLM_INLINE void pair_values(const vlm_query_tile *tile, const vlm_key_tile *keys, lines_ahead *asked, const bool whole) {
  const int64_t dim = tile->head_dim, stride = keys->v_stride, count = keys->count, columns = tile->stride;
  const uint16_t *row = keys->v;
  uint32_t *tiles = tile->paired_v;
  const __m512i low = halves(0), high = halves(1);
  lines_ahead ahead = *asked;
  for (int64_t j = 0; j < count; j += DEPTH, row += TILE_ROWS * stride, tiles += TILE_ROWS * columns)
    for (int64_t r = 0; r < TILE_ROWS; r++, row += stride) {
      uint32_t *y = tiles + r * V_WIDTH;
      for (int64_t i = 0; i < columns; i += DEPTH, y += 2 * (TILE_SIZE / 4)) {
        const __m512i first = numbers(row + i, whole ? DEPTH : j + r < count ? dim - i : 0);
        const __m512i second = numbers(row + TILE_ROWS * stride + i, whole ? DEPTH : j + r + TILE_ROWS < count ? dim - i : 0);
        ask_lines(&ahead, 1);
        _mm512_storeu_si512(y, _mm512_permutex2var_epi16(first, low, second));
        if (whole || i + V_WIDTH < columns) _mm512_storeu_si512(y + TILE_SIZE / 4, _mm512_permutex2var_epi16(first, high, second));
      }
    }
  *asked = ahead;
}

void vlm_attend_amx(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  if (!keys->bf16) return vlm_attend_avx512(tile, keys);
  if (keys->first) round_queries(tile);
  if (vlm_most_visible(keys, 0, tile->rows) == 0) return;
  const char *k = keys->next_k, *v = keys->next_v;
  const int64_t bytes = keys->next_count * keys->next_bytes;
  lines_ahead ahead = {k, k + bytes, v, v + bytes};
  if (tile->head_dim % DEPTH == 0 && keys->count % DEPTH == 0) {
    pair_keys(tile, keys, &ahead, true);
    pair_values(tile, keys, &ahead, true);
  } else {
    pair_keys(tile, keys, &ahead, false);
    pair_values(tile, keys, &ahead, false);
  }
  attend_tiles(tile, keys, tile->paired_k, tile->paired_v, &ahead, false);
}
#pragma clang attribute pop
#endif
