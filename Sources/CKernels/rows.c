#include "internal.h"

static void copy_row(const float *x, float *y, int64_t columns) {
  if (x != y) __builtin_memcpy(y, x, (size_t)columns * sizeof(float));
}

// Whether all of index[begin ..< end) are below `rows`, and not negative unless `negative_ok`.
static bool indices_fit(const vlm_rows_args *a, int64_t begin, int64_t end, int64_t rows, bool negative_ok) {
  for (int64_t t = begin; t < end; t++)
    if (a->index[t] >= rows || (a->index[t] < 0 && !negative_ok)) return false;
  return true;
}

vlm_status vlm_gather_rows(const vlm_rows_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  if (!indices_fit(a, begin, end, a->x_rows, false)) return VLM_BAD_INDEX;
  for (int64_t t = begin; t < end; t++) copy_row(a->x + a->index[t] * a->x_stride, a->y + t * a->y_stride, a->columns);
  return VLM_OK;
}

vlm_status vlm_select_rows(const vlm_rows_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  if (!indices_fit(a, begin, end, a->x_rows, true)) return VLM_BAD_INDEX;
  for (int64_t t = begin; t < end; t++) {
    const float *source = a->index[t] < 0 ? a->a + t * a->a_stride : a->x + a->index[t] * a->x_stride;
    copy_row(source, a->y + t * a->y_stride, a->columns);
  }
  return VLM_OK;
}

vlm_status vlm_gather_columns(const vlm_columns_args *a, int64_t begin, int64_t end) {
  const uint32_t count = (uint32_t)vlm_min(a->x_columns, INT32_MAX);
  bool fit = true;
  for (int64_t j = 0; j < a->columns; j++) fit &= (uint32_t)a->index[j] < count;
  if (!fit) return VLM_BAD_INDEX;
  for (int64_t t = begin; t < end; t++) {
    const float *x = a->x + t * a->x_stride;
    float *y = a->y + t * a->y_stride;
    for (int64_t j = 0; j < a->columns; j++) y[j] = x[a->index[j]];
  }
  return VLM_OK;
}

void vlm_copy_rows(const vlm_copy_rows_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  for (int64_t t = begin; t < end; t++) copy_row(a->x + t * a->x_stride, a->y + t * a->y_stride, a->columns);
}

static void blend_row(const float *w, const float *x, float *y, int64_t count, int64_t columns) {
  for (int64_t i = 0; i < columns; i++) y[i] = 0;
  for (int64_t j = 0; j < count; j++)
    for (int64_t i = 0; i < columns; i++) y[i] += w[j] * x[j * columns + i];
}

void vlm_blend_rows(const vlm_blend_rows_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  for (int64_t t = begin; t < end; t++)
    blend_row(a->w + t * a->count, a->x + t * a->count * a->columns, a->y + t * a->columns, a->count, a->columns);
}
