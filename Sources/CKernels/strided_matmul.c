#include "strided.h"

int64_t vlm_matmul_items(const vlm_matmul_args *a) {
  int64_t batches = vlm_walk_count(a->axes, a->extent);
  if (batches < 0 || a->m < 0 || a->n < 0 || a->k < 0) return -1;
  if (a->a.element != VLM_ELEMENT_F32 || a->b.element != VLM_ELEMENT_F32 || a->y.element != VLM_ELEMENT_F32) return -1;
  return batches * a->m;
}

enum { TILE = 256, LANES = 16 };

// Columns side by side: each element of a's row scales a row of b.
static void rows_of_b(const vlm_matmul_args *a, const float *x, const float *b, float *y) {
  for (int64_t first = 0; first < a->n; first += TILE) {
    int64_t n = vlm_min(TILE, a->n - first);
    float sum[TILE] = {0};
    for (int64_t k = 0; k < a->k; k++) {
      float scale = x[k * a->a_step];
      const float *row = b + k * a->b_step + first;
      for (int64_t j = 0; j < n; j++) sum[j] += scale * row[j];
    }
    for (int64_t j = 0; j < n; j++) y[(first + j) * a->y_column] = sum[j];
  }
}

// Inner elements side by side: LANES partial sums of each product.
static float dot(const float *x, const float *b, int64_t count) {
  float part[LANES] = {0}, sum = 0;
  int64_t k = 0;
  for (; k + LANES <= count; k += LANES)
    for (int64_t lane = 0; lane < LANES; lane++) part[lane] += x[k + lane] * b[k + lane];
  for (; k < count; k++) sum += x[k] * b[k];
  for (int64_t lane = 0; lane < LANES; lane++) sum += part[lane];
  return sum;
}

vlm_status vlm_matmul(const vlm_matmul_args *a, int64_t begin, int64_t end) {
  if (begin >= end) return VLM_OK;
  if (vlm_matmul_items(a) < end || begin < 0) return VLM_BAD_SHAPE;
  for (int64_t item = begin; item < end; item++) {
    int64_t batch = item / a->m, row = item % a->m;
    const float *x = (const float *)a->a.base + vlm_walk_offset(a->axes, a->extent, a->a.stride, batch) + row * a->a_row;
    const float *b = (const float *)a->b.base + vlm_walk_offset(a->axes, a->extent, a->b.stride, batch);
    float *y = (float *)a->y.base + vlm_walk_offset(a->axes, a->extent, a->y.stride, batch) + row * a->y_row;
    if (a->b_step == 1 && a->a_step == 1 && a->b_column != 1) {
      for (int64_t j = 0; j < a->n; j++) y[j * a->y_column] = dot(x, b + j * a->b_column, a->k);
    } else if (a->b_column == 1) {
      rows_of_b(a, x, b, y);
    } else {
      for (int64_t j = 0; j < a->n; j++) {
        float sum = 0;
        for (int64_t k = 0; k < a->k; k++) sum += x[k * a->a_step] * b[k * a->b_step + j * a->b_column];
        y[j * a->y_column] = sum;
      }
    }
  }
  return VLM_OK;
}
