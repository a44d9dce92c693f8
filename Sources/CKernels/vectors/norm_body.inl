// Row norms of one instruction set; V_NAME(name) is the name of its version.

static inline v_f32 norm_element(const vlm_norm_args *a, int64_t t, int64_t i, v_mask part) {
  v_f32 r = v_load_part(part, a->x + t * a->x_stride + i);
  return a->add ? v_add(r, v_load_part(part, a->add + t * a->add_stride + i)) : r;
}

// y = (r − mean) · factor · weight + bias; each vector of r is read before it is overwritten.
static void norm_write(const vlm_norm_args *a, int64_t t, float mean, float factor) {
  const v_f32 shift = v_set1(mean), scale = v_set1(factor);
  for (int64_t i = 0; i < a->columns; i += V_WIDTH) {
    v_mask part = v_first(a->columns - i);
    v_f32 r = norm_element(a, t, i, part), n = v_mul(v_sub(r, shift), scale);
    if (a->sum) v_store_part(a->sum + t * a->sum_stride + i, part, r);
    if (a->weight) n = v_mul(n, v_load_part(part, a->weight + i));
    if (a->bias) n = v_add(n, v_load_part(part, a->bias + i));
    v_store_part(a->y + t * a->y_stride + i, part, n);
  }
}

void V_NAME(rms_norm)(const vlm_norm_args *a, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) {
    v_f32 squares = v_zero();
    for (int64_t i = 0; i < a->columns; i += V_WIDTH) {
      v_f32 r = norm_element(a, t, i, v_first(a->columns - i));
      squares = v_fma(r, r, squares);
    }
    norm_write(a, t, 0, 1.0f / vlm_sqrt1((float)(v_sum_f64(squares) / (double)a->columns) + a->eps));
  }
}

void V_NAME(layer_norm)(const vlm_norm_args *a, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) {
    v_f32 sum = v_zero(), squares = v_zero();
    for (int64_t i = 0; i < a->columns; i += V_WIDTH) sum = v_add(sum, norm_element(a, t, i, v_first(a->columns - i)));
    float mean = (float)(v_sum_f64(sum) / (double)a->columns);
    for (int64_t i = 0; i < a->columns; i += V_WIDTH) {
      v_mask part = v_first(a->columns - i);
      v_f32 r = v_select(part, v_sub(norm_element(a, t, i, part), v_set1(mean)), v_zero());
      squares = v_fma(r, r, squares);
    }
    norm_write(a, t, mean, 1.0f / vlm_sqrt1((float)(v_sum_f64(squares) / (double)a->columns) + a->eps));
  }
}
