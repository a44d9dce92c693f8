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
