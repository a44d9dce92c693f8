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
