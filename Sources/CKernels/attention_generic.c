#include "attention.h"

static float exp2_of(float x) { return vlm_exp1(x * VLM_LN2); }

// Scores of the keys hidden ..< visible of a row; returns the greatest.
static float score_row(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t row, int64_t hidden, int64_t visible) {
  const float *q = tile->q + row * tile->stride, *k = keys->k;
  float most = tile->most[row];
  for (int64_t j = hidden; j < visible; j++) {
    float dot = 0;
    for (int64_t i = 0; i < tile->head_dim; i++) dot += q[i] * k[i * keys->k_stride + j];
    if (keys->softcap > 0) dot = keys->softcap * vlm_tanh1(dot / keys->softcap);
    tile->scores[j] = dot;
    if (dot > most) most = dot;
  }
  return most;
}

void vlm_attend_generic(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  const float *v = keys->v;
  for (int64_t row = 0; row < tile->rows; row++) {
    int64_t hidden = vlm_hidden(keys, row), visible = vlm_visible(keys, row);
    if (hidden >= visible) continue;
    float *out = tile->out + row * tile->stride;
    float most = score_row(tile, keys, row, hidden, visible), correction = exp2_of(tile->most[row] - most), sum = 0;
    for (int64_t i = 0; i < tile->head_dim; i++) out[i] *= correction;
    for (int64_t j = hidden; j < visible; j++) {
      float p = exp2_of(tile->scores[j] - most);
      sum += p;
      for (int64_t i = 0; i < tile->head_dim; i++) out[i] += p * v[j * keys->v_stride + i];
    }
    tile->most[row] = most;
    float *total = tile->sum + row * VLM_SUM_LANES;
    *total = *total * correction + sum;
  }
}

void vlm_transpose_generic(const float *x, int64_t x_stride, int64_t rows, int64_t columns, float *y, int64_t y_stride) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) y[c * y_stride + r] = x[r * x_stride + c];
}

void vlm_fold_generic(float *total, float kept, const float *out, float added, int64_t floats) {
  for (int64_t i = 0; i < floats; i++) total[i] = total[i] * kept + out[i] * added;
}

static float half_of(uint32_t pair, int64_t i) { return vlm_from_bf16((uint16_t)(i % 2 ? pair >> 16 : pair)); }

void vlm_round_query_generic(const float *x, int64_t head_dim, float scale, uint16_t *q) {
  for (int64_t i = 0; i < vlm_ceil_div(head_dim, 16) * 16; i++) q[i] = i < head_dim ? vlm_to_bf16(x[i] * (scale * VLM_LOG2E)) : 0;
}

void vlm_pair_generic(const vlm_pairing *p) {
  int64_t pairs = vlm_ceil_div(p->head_dim, 2), columns = vlm_ceil_div(p->count, VLM_PANEL) * VLM_PANEL;
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < pairs; i++) {
      const float *k = p->k + j * p->k_stride + 2 * i;
      uint32_t low = j < p->count ? vlm_to_bf16(k[0]) : 0, high = j < p->count && 2 * i + 1 < p->head_dim ? vlm_to_bf16(k[1]) : 0;
      p->paired_k[(j / VLM_PANEL * pairs + i) * VLM_PANEL + j % VLM_PANEL] = low | high << 16;
    }
  for (int64_t j = 0; j < p->count; j += 2)
    for (int64_t i = 0; i < p->stride; i++) {
      const float *v = p->v + j * p->v_stride + i;
      uint32_t low = i < p->head_dim ? vlm_to_bf16(v[0]) : 0, high = i < p->head_dim && j + 1 < p->count ? vlm_to_bf16(v[p->v_stride]) : 0;
      p->paired_v[j / 2 * p->stride + i] = low | high << 16;
    }
}

// As score_row, of keys in pairs.
static float score_pairs(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t row) {
  const uint16_t *q = (const uint16_t *)(tile->q + row * tile->stride);
  const int64_t pairs = vlm_ceil_div(tile->head_dim, 2);
  float most = tile->most[row];
  for (int64_t j = 0; j < keys->count; j++) {
    const uint32_t *k = (const uint32_t *)keys->k + j / VLM_PANEL * pairs * VLM_PANEL + j % VLM_PANEL;
    float dot = 0;
    for (int64_t i = 0; i < tile->head_dim; i++) dot += vlm_from_bf16(q[i]) * half_of(k[i / 2 * VLM_PANEL], i);
    if (keys->softcap > 0) dot = keys->softcap * vlm_tanh1(dot / keys->softcap);
    tile->scores[j] = dot;
    if (dot > most) most = dot;
  }
  return most;
}

void vlm_attend_pairs_generic(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  const uint32_t *v = keys->v;
  for (int64_t row = 0; row < tile->rows; row++) {
    float *out = tile->out + row * tile->stride, most = score_pairs(tile, keys, row), correction = exp2_of(tile->most[row] - most), sum = 0;
    for (int64_t i = 0; i < tile->head_dim; i++) out[i] *= correction;
    for (int64_t j = 0; j < keys->count; j++) {
      float p = vlm_from_bf16(vlm_to_bf16(exp2_of(tile->scores[j] - most)));
      sum += p;
      for (int64_t i = 0; i < tile->head_dim; i++) out[i] += p * half_of(v[j / 2 * tile->stride + i], j);
    }
    tile->most[row] = most;
    float *total = tile->sum + row * VLM_SUM_LANES;
    *total = *total * correction + sum;
  }
}
