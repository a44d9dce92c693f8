#include "../attention.h"

#if VLM_X86_64
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c,amx-tile,amx-bf16"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "tiles_amx.h"
#include "../vectors/math_body.inl"
#include "attention_amx.inl"

void vlm_attend_pairs_amx(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  const int64_t words = TILE_SIZE / 4;
  const pair_tiles k = {keys->k, vlm_ceil_div(tile->head_dim, DEPTH) * words, words, TILE_BYTES};
  const pair_tiles v = {keys->v, words, tile->stride * TILE_ROWS, TILE_BYTES};
  lines_ahead none = {0};
  tiles_begin(TILE_BYTES, vlm_min(tile->rows, TILE_ROWS), TILE_ROWS);
  attend_tiles(tile, keys, &k, &v, &none, true);
  _tile_release();
}

// Tiles lie one after the other: those of 16 keys [head_dim / 32][16][16], and those of 32 values [stride / 16][16][16].

// Numbers [at, at + 32) of a row of `count` as bf16, zeros behind them.
static inline __m512i numbers_of_row(const float *row, int64_t at, int64_t count) {
  v_f32 low = v_load_part(v_first(count - at), row + at), high = v_zero();
  if (at + V_WIDTH < count) high = v_load_part(v_first(count - at - V_WIDTH), row + at + V_WIDTH);
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

void vlm_round_query_amx(const float *x, int64_t head_dim, float scale, uint16_t *q) {
  v_f32 factor = v_set1(scale * VLM_LOG2E);
  for (int64_t i = 0; i < vlm_ceil_div(head_dim, DEPTH) * DEPTH; i += V_WIDTH) {
    v_f32 part = i < head_dim ? v_load_part(v_first(head_dim - i), x + i) : v_zero();
    _mm256_storeu_si256((void *)(q + i), (__m256i)_mm512_cvtneps_pbh(v_mul(part, factor)));
  }
}

static void pair_keys(const vlm_pairing *p) {
  float *y = (float *)p->paired_k;
  for (int64_t j = 0; j < vlm_ceil_div(p->count, DEPTH) * DEPTH; j += TILE_ROWS)
    for (int64_t i = 0; i < p->head_dim; i += DEPTH, y += TILE_SIZE / 4) {
      v_f32 in[V_WIDTH], out[V_WIDTH];
#pragma clang loop unroll(full)
      for (int r = 0; r < V_WIDTH; r++) in[r] = j + r < p->count ? (v_f32)numbers_of_row(p->k + (j + r) * p->k_stride, i, p->head_dim) : v_zero();
      v_transpose(in, out);
#pragma clang loop unroll(full)
      for (int r = 0; r < V_WIDTH; r++) v_store(y + r * V_WIDTH, out[r]);
    }
}

static void pair_values(const vlm_pairing *p) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2,
                                         17, 1, 16, 0);
  uint32_t *y = p->paired_v;
  for (int64_t j = 0; j < p->count; j += DEPTH, y += p->stride * TILE_ROWS)
    for (int64_t r = 0; r < TILE_ROWS; r++)
      for (int64_t i = 0; i < p->stride; i += V_WIDTH) {
        const float *v = p->v + (j + 2 * r) * p->v_stride + i;
        v_mask part = v_first(p->head_dim - i);
        v_f32 first = j + 2 * r < p->count ? v_load_part(part, v) : v_zero();
        v_f32 second = j + 2 * r + 1 < p->count ? v_load_part(part, v + p->v_stride) : v_zero();
        _mm512_storeu_si512(y + i * TILE_ROWS + r * V_WIDTH, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first)));
      }
}

void vlm_pair_amx(const vlm_pairing *p) {
  pair_keys(p);
  pair_values(p);
}
#pragma clang attribute pop
#endif
