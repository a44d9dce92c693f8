#include "math_scalar.h"
#include "strided.h"

int64_t vlm_along_items(const vlm_along_args *a) {
  if ((unsigned)a->op >= VLM_ALONG_OPS || a->count < 0) return -1;
  if (a->op == VLM_ALONG_TOP_K && (a->kept < 0 || a->kept > a->count)) return -1;
  if (vlm_element_bytes(a->x.element) == 0 || vlm_element_bytes(a->y.element) == 0) return -1;
  return vlm_walk_count(a->axes, a->extent);
}

static float value(const vlm_along_args *a, const char *x, int64_t i) {
  float v;
  vlm_load_f32(x + i * a->x_step * (int64_t)vlm_element_bytes(a->x.element), a->x.element, 1, 1, &v);
  return v;
}

static void put(const vlm_along_args *a, char *y, int64_t i, float v) {
  vlm_store_f32(y + i * a->y_step * (int64_t)vlm_element_bytes(a->y.element), a->y.element, 1, 1, &v);
}

static float largest(const vlm_along_args *a, const char *x, int64_t *place) {
  float best = vlm_from_bits(0xff800000);
  *place = 0;
  for (int64_t i = 0; i < a->count; i++) {
    float v = value(a, x, i);
    if (v > best) best = v, *place = i;
  }
  return best;
}

static void softmax(const vlm_along_args *a, const char *x, char *y) {
  int64_t place;
  float top = largest(a, x, &place);
  double sum = 0;
  if (top == vlm_from_bits(0xff800000)) {
    for (int64_t i = 0; i < a->count; i++) put(a, y, i, 0);
    return;
  }
  for (int64_t i = 0; i < a->count; i++) sum += (double)vlm_exp1(value(a, x, i) - top);
  for (int64_t i = 0; i < a->count; i++) put(a, y, i, (float)((double)vlm_exp1(value(a, x, i) - top) / sum));
}

// Each pass finds the largest of what lies behind the one before in falling order, so that nothing must be kept.
static void top_k(const vlm_along_args *a, const char *x, char *y, char *chosen) {
  float bound = vlm_from_bits(0x7f800000);
  int64_t last = -1;
  for (int64_t k = 0; k < a->kept; k++) {
    float best = 0;
    int64_t place = -1;
    for (int64_t i = 0; i < a->count; i++) {
      float v = value(a, x, i);
      if (!(v < bound || (v == bound && i > last))) continue;
      if (place < 0 || v > best) best = v, place = i;
    }
    // Only NaN is left.
    if (place < 0) place = last < 0 ? 0 : last, best = value(a, x, place);
    put(a, y, k, best);
    int32_t index = (int32_t)place;
    vlm_store_i32(chosen + k * a->chosen_step * (int64_t)vlm_element_bytes(a->chosen.element), a->chosen.element, 1, 1, &index);
    bound = best, last = place;
  }
}

static void line(const vlm_along_args *a, const char *x, char *y, char *chosen) {
  double sum = 0;
  int64_t place;
  switch (a->op) {
    case VLM_ALONG_SUM:
    case VLM_ALONG_MEAN:
      for (int64_t i = 0; i < a->count; i++) sum += (double)value(a, x, i);
      put(a, y, 0, (float)(a->op == VLM_ALONG_MEAN ? sum / (double)a->count : sum));
      return;
    case VLM_ALONG_MAX: put(a, y, 0, largest(a, x, &place)); return;
    case VLM_ALONG_ARGMAX: {
      largest(a, x, &place);
      int32_t index = (int32_t)place;
      vlm_store_i32(y, a->y.element, 1, 1, &index);
      return;
    }
    case VLM_ALONG_SOFTMAX: softmax(a, x, y); return;
    case VLM_ALONG_CUMSUM:
      for (int64_t i = 0; i < a->count; i++) {
        sum += (double)value(a, x, i);
        put(a, y, i, (float)sum);
      }
      return;
    case VLM_ALONG_TOP_K: top_k(a, x, y, chosen); return;
  }
}

vlm_status vlm_along(const vlm_along_args *a, int64_t begin, int64_t end) {
  if (begin >= end) return VLM_OK;
  if (vlm_along_items(a) < end || begin < 0) return VLM_BAD_SHAPE;
  for (int64_t item = begin; item < end; item++) {
    char *chosen = 0;
    if (a->op == VLM_ALONG_TOP_K) chosen = vlm_at(&a->chosen, vlm_walk_offset(a->axes, a->extent, a->chosen.stride, item));
    line(
        a, vlm_at(&a->x, vlm_walk_offset(a->axes, a->extent, a->x.stride, item)),
        vlm_at(&a->y, vlm_walk_offset(a->axes, a->extent, a->y.stride, item)), chosen);
  }
  return VLM_OK;
}
