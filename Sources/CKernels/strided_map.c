#include "math_scalar.h"
#include "strided.h"

static int64_t operand_count(vlm_map_op op) { return op == VLM_MAP_WHERE ? 3 : op >= VLM_MAP_ADD ? 2 : 1; }

// Whether the op has a meaning for whole numbers.
static bool takes_whole(vlm_map_op op) { return op == VLM_MAP_COPY || op >= VLM_MAP_ADD; }

// The element that decides whether the op computes in f32 or i32.
static vlm_element domain(const vlm_map_args *a) { return a->op == VLM_MAP_WHERE ? a->x[1].element : a->x[0].element; }

int64_t vlm_map_items(const vlm_map_args *a) {
  int64_t count = vlm_walk_count(a->axes, a->extent);
  if (count < 0 || a->axes < 1 || (unsigned)a->op >= VLM_MAP_OPS || vlm_element_bytes(a->y.element) == 0) return -1;
  for (int64_t i = 0; i < operand_count(a->op); i++)
    if (vlm_element_bytes(a->x[i].element) == 0) return -1;
  if (vlm_is_whole(domain(a)) && !takes_whole(a->op)) return -1;
  int64_t last = a->extent[a->axes - 1];
  return count == 0 ? 0 : count / last * vlm_ceil_div(last, VLM_MAP_BLOCK);
}

#define EACH(value) for (int64_t i = 0; i < n; i++) y[i] = value; return

static void unary(vlm_map_op op, const float *x, float *y, int64_t n) {
  switch (op) {
    case VLM_MAP_NEG: EACH(-x[i]);
    case VLM_MAP_SQUARE: EACH(x[i] * x[i]);
    case VLM_MAP_SQRT: EACH(vlm_sqrt1(x[i]));
    case VLM_MAP_RSQRT: EACH(1.0f / vlm_sqrt1(x[i]));
    case VLM_MAP_EXP: EACH(vlm_exp1(x[i]));
    case VLM_MAP_LOG: EACH(vlm_log1(x[i]));
    case VLM_MAP_COS:
    case VLM_MAP_SIN:
      for (int64_t i = 0; i < n; i++) {
        float cosine, sine;
        vlm_cos_sin1(x[i], &cosine, &sine);
        y[i] = op == VLM_MAP_COS ? cosine : sine;
      }
      return;
    case VLM_MAP_SIGMOID: EACH(vlm_sigmoid1(x[i]));
    case VLM_MAP_TANH: EACH(vlm_tanh1(x[i]));
    case VLM_MAP_ERF: EACH(vlm_erf1(x[i]));
    case VLM_MAP_SOFTPLUS: EACH(vlm_softplus1(x[i]));
    case VLM_MAP_RECIPROCAL: EACH(1.0f / x[i]);
    default: EACH(x[i]);
  }
}

static void binary(vlm_map_op op, const float *a, const float *b, float *y, int64_t n) {
  switch (op) {
    case VLM_MAP_SUB: EACH(a[i] - b[i]);
    case VLM_MAP_MUL: EACH(a[i] * b[i]);
    case VLM_MAP_DIV: EACH(a[i] / b[i]);
    case VLM_MAP_MAXIMUM: EACH(b[i] >= a[i] ? b[i] : a[i]);
    case VLM_MAP_MINIMUM: EACH(b[i] < a[i] ? b[i] : a[i]);
    default: EACH(a[i] + b[i]);
  }
}

static int32_t quotient(int32_t a, int32_t b) { return b == 0 ? 0 : b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b; }

static void binary_whole(vlm_map_op op, const int32_t *a, const int32_t *b, int32_t *y, int64_t n) {
  switch (op) {
    case VLM_MAP_SUB: EACH((int32_t)((uint32_t)a[i] - (uint32_t)b[i]));
    case VLM_MAP_MUL: EACH((int32_t)((uint32_t)a[i] * (uint32_t)b[i]));
    case VLM_MAP_DIV: EACH(quotient(a[i], b[i]));
    case VLM_MAP_MAXIMUM: EACH(b[i] >= a[i] ? b[i] : a[i]);
    case VLM_MAP_MINIMUM: EACH(b[i] < a[i] ? b[i] : a[i]);
    default: EACH((int32_t)((uint32_t)a[i] + (uint32_t)b[i]));
  }
}

// One block: n elements that begin where `place` says for each operand, and last for y.
static void block(const vlm_map_args *a, void *const place[4], int64_t n) {
  int64_t axis = a->axes - 1, count = operand_count(a->op), step[3] = {0};
  for (int64_t i = 0; i < count; i++) step[i] = a->x[i].stride[axis];
  int64_t y_step = a->y.stride[axis];
  if (vlm_is_whole(domain(a))) {
    int32_t x[3][VLM_MAP_BLOCK];
    for (int64_t i = 0; i < count; i++) vlm_load_i32(place[i], a->x[i].element, step[i], n, x[i]);
    if (a->op == VLM_MAP_WHERE) {
      for (int64_t i = 0; i < n; i++) x[0][i] = x[0][i] ? x[1][i] : x[2][i];
    } else if (count == 2) {
      binary_whole(a->op, x[0], x[1], x[0], n);
    }
    vlm_store_i32(place[3], a->y.element, y_step, n, x[0]);
    return;
  }
  float x[3][VLM_MAP_BLOCK];
  for (int64_t i = 0; i < count; i++) vlm_load_f32(place[i], a->x[i].element, step[i], n, x[i]);
  if (a->op == VLM_MAP_WHERE) {
    for (int64_t i = 0; i < n; i++) x[0][i] = x[0][i] != 0 ? x[1][i] : x[2][i];
  } else if (count == 2) {
    binary(a->op, x[0], x[1], x[0], n);
  } else if (a->op != VLM_MAP_COPY) {
    unary(a->op, x[0], x[0], n);
  }
  vlm_store_f32(place[3], a->y.element, y_step, n, x[0]);
}

vlm_status vlm_map(const vlm_map_args *a, int64_t begin, int64_t end) {
  if (begin >= end) return VLM_OK;
  if (vlm_map_items(a) < end || begin < 0) return VLM_BAD_SHAPE;
  int64_t axis = a->axes - 1, last = a->extent[axis], blocks = vlm_ceil_div(last, VLM_MAP_BLOCK), count = operand_count(a->op);
  for (int64_t item = begin; item < end; item++) {
    int64_t line = item / blocks, first = item % blocks * VLM_MAP_BLOCK;
    void *place[4] = {0};
    for (int64_t i = 0; i < count; i++) {
      int64_t offset = vlm_walk_offset(axis, a->extent, a->x[i].stride, line) + first * a->x[i].stride[axis];
      place[i] = vlm_at(&a->x[i], offset);
    }
    place[3] = vlm_at(&a->y, vlm_walk_offset(axis, a->extent, a->y.stride, line) + first * a->y.stride[axis]);
    block(a, place, vlm_min(VLM_MAP_BLOCK, last - first));
  }
  return VLM_OK;
}
