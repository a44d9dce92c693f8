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
    const float *q = tile->q + r * tile->stride;
    uint16_t *y = (uint16_t *)q;
    for (int64_t i = 0; i < vlm_ceil_div(tile->head_dim, DEPTH) * DEPTH; i += V_WIDTH)
      _mm256_storeu_si256((void *)(y + i), (__m256i)_mm512_cvtneps_pbh(i < tile->stride ? v_load(q + i) : v_zero()));
  }
}

void vlm_attend_amx(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  if (!keys->bf16) return vlm_attend_avx512(tile, keys);
  if (keys->first) round_queries(tile);
  if (keys->first) tiles_begin(TILE_BYTES, vlm_min(tile->rows, TILE_ROWS), TILE_ROWS);
  const int64_t steps = vlm_ceil_div(tile->rows, VLM_TILES_STEP), k_stride = keys->k_stride, v_stride = keys->v_stride;
  const pair_tiles k = {keys->k, TILE_ROWS, TILE_ROWS * k_stride, 4 * k_stride}, v = {keys->v, TILE_ROWS, TILE_ROWS * v_stride, 4 * v_stride};
  lines_ahead ahead = lines_of(keys->next_k, keys->next_v, keys->next_count * keys->next_bytes, steps == 1 ? TILE_ROWS : steps < 4 ? 8 : 4);
  if (vlm_most_visible(keys, 0, tile->rows) > 0) attend_tiles(tile, keys, &k, &v, &ahead, false);
  if (keys->last) _tile_release();
}
#pragma clang attribute pop
#endif
