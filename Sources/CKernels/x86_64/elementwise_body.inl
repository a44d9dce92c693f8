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

void V_NAME(mul)(const float *a, const float *b, float *y, int64_t begin, int64_t end) {
  V_EACH(begin, end, v_mul(v_load(a + i), v_load(b + i)), v_mul(v_load_part(part_, a + i), v_load_part(part_, b + i)), y, x_);
}

void V_NAME(scale)(const float *x, float factor, float *y, int64_t begin, int64_t end) {
  V_EACH(begin, end, v_load(x + i), v_load_part(part_, x + i), y, v_mul(x_, v_set1(factor)));
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

void V_NAME(softmax)(const vlm_softmax_args *a, int64_t begin, int64_t end) {
  const v_f32 scale = v_set1(a->scale), lowest = v_set1(-__builtin_inff());
  for (int64_t t = begin; t < end; t++) {
    const float *x = a->x + t * a->x_stride;
    float *y = a->y + t * a->y_stride;
    v_f32 greatest = lowest, sum = v_zero();
    for (int64_t i = 0; i < a->columns; i += V_WIDTH) {
      v_mask part = v_first(a->columns - i);
      greatest = v_max(v_select(part, v_mul(v_load_part(part, x + i), scale), lowest), greatest);
    }
    v_f32 most = v_set1(v_most(greatest));
    for (int64_t i = 0; i < a->columns; i += V_WIDTH) {
      v_mask part = v_first(a->columns - i);
      v_f32 p = v_select(part, v_exp(v_sub(v_mul(v_load_part(part, x + i), scale), most)), v_zero());
      sum = v_add(sum, p);
      v_store_part(y + i, part, p);
    }
    v_f32 inverse = v_set1(1.0f / v_sum(sum));
    V_EACH((int64_t)0, a->columns, v_load(y + i), v_load_part(part_, y + i), y, v_mul(x_, inverse));
  }
}

static int32_t argmax_row(const float *x, int64_t columns) {
  const v_f32 lowest = v_set1(-__builtin_inff());
  v_f32 greatest = lowest;
  for (int64_t i = 0; i < columns; i += V_WIDTH) {
    v_mask part = v_first(columns - i);
    greatest = v_max(v_select(part, v_load_part(part, x + i), lowest), greatest);
  }
  float most = v_most(greatest);
  if (!(most > -__builtin_inff())) return 0;
  for (int64_t i = 0; i < columns; i += V_WIDTH) {
    v_mask part = v_first(columns - i);
    uint32_t hits = v_bits(v_and_mask(part, v_equal(v_load_part(part, x + i), v_set1(most))));
    if (hits) return (int32_t)(i + __builtin_ctz(hits));
  }
  return 0;
}

void V_NAME(argmax)(const float *x, int64_t x_stride, int64_t columns, int32_t *index, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) index[t] = argmax_row(x + t * x_stride, columns);
}
