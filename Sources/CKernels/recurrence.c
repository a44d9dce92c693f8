#include "internal.h"
#include "vlm_recurrence.h"

// Whether the ranges and the slots of all rows are those of the state.
static vlm_status check(const vlm_sequences *s, int64_t items, int64_t begin, int64_t end) {
  if (s->rows < 0 || s->count < 0 || begin < 0 || begin > end || end > items) return VLM_BAD_SHAPE;
  for (int64_t t = 0; t < s->rows; t++)
    if (s->slots[t] >= s->count) return VLM_BAD_INDEX;
  return VLM_OK;
}

// One row of channels [begin, end) behind the L − 1 columns of its sequence, which then end with the row.
static void convolve(const vlm_short_convolution_args *a, float *columns, const float *x, float *y, int64_t begin, int64_t end) {
  int64_t kept = a->taps - 1;
  for (int64_t c = begin; c < end; c++) {
    const float *w = a->weight + c * a->taps;
    float sum = 0;
    for (int64_t j = 0; j < kept; j++) sum += w[j] * columns[j * a->channels + c];
    sum += w[kept] * x[c];
    for (int64_t j = 0; j + 1 < kept; j++) columns[j * a->channels + c] = columns[(j + 1) * a->channels + c];
    columns[(kept - 1) * a->channels + c] = x[c];
    y[c] = sum;
  }
}

vlm_status vlm_short_convolution(const vlm_short_convolution_args *a, int64_t begin, int64_t end) {
  if (a->channels < 1 || a->taps < 2) return VLM_BAD_SHAPE;
  vlm_status status = check(&a->sequences, a->channels, begin, end);
  if (status != VLM_OK) return status;
  int64_t kept = a->taps - 1;
  for (int64_t t = 0; t < a->sequences.rows; t++) {
    float *y = a->y + t * a->y_stride;
    if (a->sequences.slots[t] < 0) {
      for (int64_t c = begin; c < end; c++) y[c] = 0;
      continue;
    }
    float *columns = a->sequences.state + a->sequences.slots[t] * kept * a->channels;
    if (a->sequences.ordinals[t] == 0)
      for (int64_t j = 0; j < kept; j++)
        for (int64_t c = begin; c < end; c++) columns[j * a->channels + c] = 0;
    convolve(a, columns, a->x + t * a->x_stride, y, begin, end);
  }
  return VLM_OK;
}

// Columns of a state that are computed together.
enum { COLUMNS = 64 };

// Columns [0, count) of one head of one row; `state` is [key_dim, value_dim]. Sums are f64: what a later norm divides by may be tiny.
static void correct(
    const vlm_gated_delta_args *a, float *state, const float *q, const float *k, const float *v, float decay, float gain, int64_t count,
    float *y) {
  double sums[COLUMNS] = {0};
  float change[COLUMNS];
  for (int64_t d = 0; d < a->key_dim; d++) {
    float *row = state + d * a->value_dim;
    for (int64_t e = 0; e < count; e++) {
      row[e] *= decay;
      sums[e] += (double)row[e] * k[d];
    }
  }
  for (int64_t e = 0; e < count; e++) change[e] = (float)((v[e] - sums[e]) * gain);
  for (int64_t e = 0; e < count; e++) sums[e] = 0;
  for (int64_t d = 0; d < a->key_dim; d++) {
    float *row = state + d * a->value_dim;
    for (int64_t e = 0; e < count; e++) {
      row[e] += k[d] * change[e];
      sums[e] += (double)row[e] * q[d];
    }
  }
  for (int64_t e = 0; e < count; e++) y[e] = (float)sums[e];
}

vlm_status vlm_gated_delta(const vlm_gated_delta_args *a, int64_t begin, int64_t end) {
  if (a->heads < 1 || a->key_heads < 1 || a->heads % a->key_heads != 0 || a->key_dim < 1 || a->value_dim < 1) return VLM_BAD_SHAPE;
  if (a->key_dim > (INT64_C(1) << 31) / a->value_dim) return VLM_BAD_SHAPE;
  vlm_status status = check(&a->sequences, a->heads, begin, end);
  if (status != VLM_OK) return status;
  int64_t group = a->heads / a->key_heads, size = a->key_dim * a->value_dim;
  for (int64_t h = begin; h < end; h++)
    for (int64_t t = 0; t < a->sequences.rows; t++) {
      float *y = a->y + t * a->y_stride + h * a->value_dim;
      if (a->sequences.slots[t] < 0) {
        for (int64_t e = 0; e < a->value_dim; e++) y[e] = 0;
        continue;
      }
      float *state = a->sequences.state + (a->sequences.slots[t] * a->heads + h) * size;
      if (a->sequences.ordinals[t] == 0)
        for (int64_t i = 0; i < size; i++) state[i] = 0;
      int64_t key = h / group * a->key_dim;
      for (int64_t e = 0; e < a->value_dim; e += COLUMNS)
        correct(
            a, state + e, a->q + t * a->q_stride + key, a->k + t * a->k_stride + key, a->v + t * a->v_stride + h * a->value_dim + e,
            a->decay[t * a->decay_stride + h], a->gain[t * a->gain_stride + h], a->value_dim - e < COLUMNS ? a->value_dim - e : COLUMNS,
            y + e);
    }
  return VLM_OK;
}
