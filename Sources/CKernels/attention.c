#include "attention.h"

static int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

// Floats of scores.
enum { SCORES = 2 * VLM_TILES_STEP * VLM_SCORES_AMX };
_Static_assert(VLM_ATTENTION_STEP * VLM_KEYS_MAX <= SCORES, "scores of all versions fit");

// Tiles of AMX are of 16 query rows, and of 32 keys.
static int64_t whole_tiles(int64_t keys) { return (keys + 31) / 32 * 32; }

size_t vlm_attention_scratch_bytes(int64_t rows, int64_t head_dim, int64_t keys) {
  int64_t d = padded(head_dim), row_floats = padded(rows) * (d * 2 + 1 + VLM_SUM_LANES);
  return (size_t)(row_floats + SCORES + 2 * whole_tiles(keys) * d) * sizeof(float);
}

vlm_attention_scratch vlm_attention_scratch_of(void *scratch, int64_t rows, int64_t head_dim, int64_t keys) {
  int64_t d = padded(head_dim), room = padded(rows);
  float *q = scratch, *out = q + room * d, *most = out + room * d, *sum = most + room, *scores = sum + room * VLM_SUM_LANES;
  float *k = scores + SCORES, *v = k + whole_tiles(keys) * d;
  vlm_query_tile tile = {rows, head_dim, d, q, out, most, sum, scores};
  return (vlm_attention_scratch){tile, q, k, v, v + whole_tiles(keys) * d};
}

void vlm_query_reset(vlm_attention_scratch *s, int64_t row) {
  float *out = s->tile.out + row * s->tile.stride;
  for (int64_t i = 0; i < s->tile.stride; i++) out[i] = 0;
  s->tile.most[row] = -__builtin_inff();
  for (int i = 0; i < VLM_SUM_LANES; i++) s->tile.sum[row * VLM_SUM_LANES + i] = 0;
}

void vlm_query_load(vlm_attention_scratch *s, int64_t row, const float *x, float scale) {
  float *q = s->q + row * s->tile.stride;
  for (int64_t i = 0; i < s->tile.head_dim; i++) q[i] = x[i] * (scale * VLM_LOG2E);
  for (int64_t i = s->tile.head_dim; i < s->tile.stride; i++) q[i] = 0;
  vlm_query_reset(s, row);
}

static float row_sum(const vlm_attention_scratch *s, int64_t row) {
  float sum = 0;
  for (int i = 0; i < VLM_SUM_LANES; i++) sum += s->tile.sum[row * VLM_SUM_LANES + i];
  return sum;
}

// y = out / sum; a sum of 0 gives zeros.
static void finish(const float *out, float sum, int64_t head_dim, float *y) {
  float inverse = sum > 0 ? 1.0f / sum : sum;
  for (int64_t i = 0; i < head_dim; i++) y[i] = out[i] * inverse;
}

void vlm_query_store(const vlm_attention_scratch *s, int64_t row, float *y) {
  const float *out = s->tile.out + row * s->tile.stride;
  finish(out, row_sum(s, row), s->tile.head_dim, y);
}

int64_t vlm_partial_floats(int64_t head_dim) { return VLM_PARTIAL_HEAD + padded(head_dim); }

void vlm_partial_clear(float *partial) {
  partial[0] = -__builtin_inff();
  partial[1] = 0;
}

void vlm_partial_fold(float *total, float most, float sum, const float *out, int64_t head_dim, vlm_fold_fn *fold) {
  if (sum == 0) return;
  float both = total[0] > most ? total[0] : most, kept = 0, added = 1;
  if (total[1] == 0) {
    __builtin_memcpy(total + VLM_PARTIAL_HEAD, out, (size_t)padded(head_dim) * sizeof(float));
  } else {
    kept = vlm_exp1((total[0] - both) * VLM_LN2);
    added = vlm_exp1((most - both) * VLM_LN2);
    fold(total + VLM_PARTIAL_HEAD, kept, out, added, padded(head_dim));
  }
  total[0] = both;
  total[1] = total[1] * kept + sum * added;
}

void vlm_partial_store(const float *partial, int64_t head_dim, float *y) { finish(partial + VLM_PARTIAL_HEAD, partial[1], head_dim, y); }

void vlm_query_fold(vlm_attention_scratch *s, int64_t row, float *total, vlm_fold_fn *fold) {
  vlm_partial_fold(total, s->tile.most[row], row_sum(s, row), s->tile.out + row * s->tile.stride, s->tile.head_dim, fold);
  vlm_query_reset(s, row);
}

vlm_attend_fn *vlm_attend_version(vlm_isa isa) {
  vlm_attend_fn *best = NULL;
#define VLM_ATTEND_TILE(features, attend, transpose, fold) if (vlm_has(isa, features)) best = attend;
#include "attention_tiles.inl"
#undef VLM_ATTEND_TILE
  return best;
}

vlm_transpose_fn *vlm_transpose_version(vlm_isa isa) {
  vlm_transpose_fn *best = NULL;
#define VLM_ATTEND_TILE(features, attend, transpose, fold) if (vlm_has(isa, features)) best = transpose;
#include "attention_tiles.inl"
#undef VLM_ATTEND_TILE
  return best;
}

vlm_fold_fn *vlm_fold_version(vlm_isa isa) {
  vlm_fold_fn *best = NULL;
#define VLM_ATTEND_TILE(features, attend, transpose, fold) if (vlm_has(isa, features)) best = fold;
#include "attention_tiles.inl"
#undef VLM_ATTEND_TILE
  return best;
}

vlm_pairs_version vlm_pairs_version_of(vlm_isa isa) {
  vlm_pairs_version best = {0};
#define VLM_PAIRS_TILE(features, attend, pair, round) if (vlm_has(isa, features)) best = (vlm_pairs_version){attend, pair, round};
#include "attention_pairs.inl"
#undef VLM_PAIRS_TILE
  return best;
}

vlm_codes_version vlm_codes_version_of(vlm_isa isa) {
  vlm_codes_version best = {0};
#define VLM_CODES_TILE(features, attend, keys, query, balance) if (vlm_has(isa, features)) best = (vlm_codes_version){attend, keys, query, balance};
#include "attention_int16.inl"
#undef VLM_CODES_TILE
  return best;
}

float vlm_query_code_most(int64_t head_dim) {
  const double room = 2147483647.0 / (double)head_dim;
  int64_t most = vlm_min(32767, (int64_t)vlm_sqrt1((float)room));
  while ((double)most * (double)most > room) most--;
  return (float)most;
}
