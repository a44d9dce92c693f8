// What adapters add, of one instruction set; V_NAME(name) is the name of its version.

// Rows j ..< j + count of `down`, each summed by itself in one order.
VLM_INLINE void adapter_dots(const float *down, const float *x, int64_t inputs, const int count, float *h) {
  v_f32 sums[8];
  for (int n = 0; n < count; n++) sums[n] = v_zero();
  for (int64_t i = 0; i < inputs; i += V_WIDTH) {
    v_mask part = v_first(inputs - i);
    v_f32 input = v_load_part(part, x + i);
    for (int n = 0; n < count; n++) sums[n] = v_fma(v_load_part(part, down + n * inputs + i), input, sums[n]);
  }
  for (int n = 0; n < count; n++) h[n] = (float)v_sum_f64(sums[n]);
}

void V_NAME(adapter_down)(const vlm_adapter *a, const float *x, int64_t inputs, int64_t begin, int64_t end, float *h) {
  int64_t j = begin;
  for (; j + 8 <= end; j += 8) adapter_dots(a->down + j * inputs, x, inputs, 8, h + j);
  for (; j < end; j++) adapter_dots(a->down + j * inputs, x, inputs, 1, h + j);
}

void V_NAME(adapter_up)(const vlm_adapter *a, const float *h, int64_t outputs, int64_t begin, int64_t end, float *y) {
  for (int64_t o = begin; o < end; o += V_WIDTH) {
    v_mask part = v_first(end - o);
    v_f32 sum = v_load_part(part, y + o);
    for (int64_t j = 0; j < a->rank; j++) sum = v_fma(v_set1(h[j]), v_load_part(part, a->up + j * outputs + o), sum);
    v_store_part(y + o, part, sum);
  }
}
