#include "attention.h"

static int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

size_t vlm_attention_scratch_bytes(int64_t rows, int64_t head_dim, int64_t keys) {
  int64_t d = padded(head_dim), row_floats = rows * d * 2 + padded(rows) + rows * VLM_SUM_LANES;
  return (size_t)(row_floats + VLM_ATTENTION_STEP * VLM_KEYS_MAX + 2 * keys * d) * sizeof(float);
}

vlm_attention_scratch vlm_attention_scratch_of(void *scratch, int64_t rows, int64_t head_dim, int64_t keys) {
  int64_t d = padded(head_dim);
  float *q = scratch, *out = q + rows * d, *most = out + rows * d, *sum = most + padded(rows), *scores = sum + rows * VLM_SUM_LANES;
  float *k = scores + VLM_ATTENTION_STEP * VLM_KEYS_MAX, *v = k + keys * d;
  return (vlm_attention_scratch){{rows, head_dim, d, q, out, most, sum, scores}, q, k, v};
}

void vlm_query_load(vlm_attention_scratch *s, int64_t row, const float *x, float scale) {
  float *q = s->q + row * s->tile.stride, *out = s->tile.out + row * s->tile.stride;
  for (int64_t i = 0; i < s->tile.head_dim; i++) q[i] = x[i] * (scale * VLM_LOG2E);
  for (int64_t i = 0; i < s->tile.stride; i++) out[i] = 0;
  s->tile.most[row] = -__builtin_inff();
  for (int i = 0; i < VLM_SUM_LANES; i++) s->tile.sum[row * VLM_SUM_LANES + i] = 0;
}

void vlm_query_store(const vlm_attention_scratch *s, int64_t row, float *y) {
  const float *out = s->tile.out + row * s->tile.stride;
  float sum = 0;
  for (int i = 0; i < VLM_SUM_LANES; i++) sum += s->tile.sum[row * VLM_SUM_LANES + i];
  float inverse = sum > 0 ? 1.0f / sum : sum;
  for (int64_t i = 0; i < s->tile.head_dim; i++) y[i] = out[i] * inverse;
}

vlm_attend_fn *vlm_attend_version(vlm_isa isa) {
  vlm_attend_fn *best = NULL;
#define VLM_ATTEND_TILE(features, attend, transpose) if (vlm_has(isa, features)) best = attend;
#include "attention_tiles.inl"
#undef VLM_ATTEND_TILE
  return best;
}

vlm_transpose_fn *vlm_transpose_version(vlm_isa isa) {
  vlm_transpose_fn *best = NULL;
#define VLM_ATTEND_TILE(features, attend, transpose) if (vlm_has(isa, features)) best = transpose;
#include "attention_tiles.inl"
#undef VLM_ATTEND_TILE
  return best;
}
