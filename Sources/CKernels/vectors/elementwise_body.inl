// Elementwise kernels of one instruction set; V_NAME(name) is the name of its version.

// Runs `vector` (an expression of `x`) over [begin, end) from `load(i)` to y[i], the last elements by a partial vector.
#define V_EACH(begin, end, load, load_part, y, vector) \
  do { \
    int64_t i = begin; \
    for (; i + V_WIDTH <= end; i += V_WIDTH) { \
      v_f32 x_ = load; \
      v_store(y + i, vector); \
    } \
    if (i < end) { \
      v_mask part_ = v_first(end - i); \
      v_f32 x_ = load_part; \
      v_store_part(y + i, part_, vector); \
    } \
  } while (0)

static inline void activate_run(vlm_activation activation, const float *x, const float *factor, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i += V_WIDTH) {
    v_mask part = v_first(count - i);
    v_f32 value = v_activate(activation, v_load_part(part, x + i));
    v_store_part(y + i, part, factor ? v_mul(value, v_load_part(part, factor + i)) : value);
  }
}

void V_NAME(activate)(vlm_activation activation, const float *x, float *y, int64_t begin, int64_t end) {
  activate_run(activation, x + begin, NULL, y + begin, end - begin);
}

void V_NAME(gated)(const vlm_gated_args *a, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) {
    const float *gate = a->x + t * a->x_stride;
    activate_run(a->activation, gate, gate + a->columns, a->y + t * a->y_stride, a->columns);
  }
}

void V_NAME(add)(const float *a, const float *b, float *y, int64_t begin, int64_t end) {
  V_EACH(begin, end, v_add(v_load(a + i), v_load(b + i)), v_add(v_load_part(part_, a + i), v_load_part(part_, b + i)), y, x_);
}

void V_NAME(exp)(const float *x, float *y, int64_t begin, int64_t end) {
  V_EACH(begin, end, v_load(x + i), v_load_part(part_, x + i), y, v_exp(x_));
}

void V_NAME(u8_to_f32)(const uint8_t *x, float *y, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + V_WIDTH <= end; i += V_WIDTH) v_store(y + i, v_from_u8(x + i));
  for (; i < end; i++) y[i] = (float)x[i];
}

void V_NAME(bf16_to_f32)(const uint16_t *x, float *y, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + V_WIDTH <= end; i += V_WIDTH) v_store(y + i, v_from_bf16(x + i));
  for (; i < end; i++) y[i] = vlm_from_bf16(x[i]);
}

void V_NAME(f32_to_bf16)(const float *x, uint16_t *y, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + V_WIDTH <= end; i += V_WIDTH) v_to_bf16(y + i, v_load(x + i));
  for (; i < end; i++) y[i] = vlm_to_bf16(x[i]);
}
