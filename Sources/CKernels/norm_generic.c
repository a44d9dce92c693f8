#include "norm.h"

static float element(const vlm_norm_args *a, int64_t t, int64_t i) {
  float r = a->x[t * a->x_stride + i];
  return a->add ? r + a->add[t * a->add_stride + i] : r;
}

// y = (r − mean) · factor · weight + bias; each element of r is read before it is overwritten.
static void write_row(const vlm_norm_args *a, int64_t t, float mean, float factor) {
  for (int64_t i = 0; i < a->columns; i++) {
    float r = element(a, t, i), n = (r - mean) * factor;
    if (a->sum) a->sum[t * a->sum_stride + i] = r;
    a->y[t * a->y_stride + i] = n * (a->weight ? a->weight[i] : 1.0f) + (a->bias ? a->bias[i] : 0.0f);
  }
}

void vlm_rms_norm_generic(const vlm_norm_args *a, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) {
    double squares = 0;
    for (int64_t i = 0; i < a->columns; i++) squares += (double)element(a, t, i) * element(a, t, i);
    write_row(a, t, 0, 1.0f / vlm_sqrt1((float)(squares / (double)a->columns) + a->eps));
  }
}

void vlm_layer_norm_generic(const vlm_norm_args *a, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < a->columns; i++) sum += element(a, t, i);
    double mean = sum / (double)a->columns;
    for (int64_t i = 0; i < a->columns; i++) squares += (element(a, t, i) - mean) * (element(a, t, i) - mean);
    write_row(a, t, (float)mean, 1.0f / vlm_sqrt1((float)(squares / (double)a->columns) + a->eps));
  }
}
