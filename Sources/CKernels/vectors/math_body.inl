// Vector transcendentals; the reductions and coefficients of math_scalar.h.

static inline v_f32 v_exp(v_f32 x) {
  v_f32 n = v_round(v_mul(x, v_set1(VLM_LOG2E)));
  v_f32 r = v_fnma(n, v_set1(VLM_LN2_LOW), v_fnma(n, v_set1(VLM_LN2_HIGH), x));
  v_f32 p = v_fma(v_set1(VLM_EXP_C6), r, v_set1(VLM_EXP_C5));
  p = v_fma(p, r, v_set1(VLM_EXP_C4));
  p = v_fma(p, r, v_set1(VLM_EXP_C3));
  p = v_fma(p, r, v_set1(VLM_EXP_C2));
  p = v_add(v_set1(1), v_fma(v_mul(r, r), p, r));
  v_f32 y = v_scale2(p, n);
  y = v_select(v_less(x, v_set1(VLM_EXP_LOW)), v_zero(), y);
  return v_select(v_greater(x, v_set1(VLM_EXP_HIGH)), v_set1(__builtin_inff()), y);
}

static inline v_f32 v_sigmoid(v_f32 x) { return v_div(v_set1(1), v_add(v_set1(1), v_exp(v_sub(v_zero(), x)))); }

static inline v_f32 v_tanh(v_f32 x) {
  v_f32 t = v_abs(x), s = v_mul(x, x);
  v_f32 far = v_sub(v_set1(1), v_div(v_set1(2), v_add(v_exp(v_add(t, t)), v_set1(1))));
  v_f32 p = v_fma(v_set1(VLM_TANH_C4), s, v_set1(VLM_TANH_C3));
  p = v_fma(p, s, v_set1(VLM_TANH_C2));
  p = v_fma(p, s, v_set1(VLM_TANH_C1));
  p = v_fma(p, s, v_set1(VLM_TANH_C0));
  v_f32 near = v_fma(v_mul(x, s), p, x);
  return v_select(v_less(t, v_set1(VLM_TANH_SPLIT)), near, v_copysign(far, x));
}

static inline v_f32 v_erf(v_f32 x) {
  v_f32 s = v_mul(x, x), t = v_min(v_abs(x), v_set1(VLM_ERF_ONE));
  v_f32 q = v_fma(v_set1(VLM_ERFC_C6), t, v_set1(VLM_ERFC_C5));
  q = v_fma(q, t, v_set1(VLM_ERFC_C4));
  q = v_fma(q, t, v_set1(VLM_ERFC_C3));
  q = v_fma(q, t, v_set1(VLM_ERFC_C2));
  q = v_fma(q, t, v_set1(VLM_ERFC_C1));
  q = v_fma(q, t, v_set1(VLM_ERFC_C0));
  v_f32 far = v_copysign(v_sub(v_set1(1), v_exp(q)), x);
  v_f32 p = v_fma(v_set1(VLM_ERF_C5), s, v_set1(VLM_ERF_C4));
  p = v_fma(p, s, v_set1(VLM_ERF_C3));
  p = v_fma(p, s, v_set1(VLM_ERF_C2));
  p = v_fma(p, s, v_set1(VLM_ERF_C1));
  p = v_fma(p, s, v_set1(VLM_ERF_C0));
  v_f32 y = v_select(v_less(t, v_set1(VLM_ERF_SPLIT)), v_fma(x, p, x), far);
  return v_select(v_is_nan(x), x, y);
}

static inline v_f32 v_activate(vlm_activation activation, v_f32 x) {
  switch (activation) {
    case VLM_ACTIVATION_NONE: return x;
    case VLM_ACTIVATION_SILU: return v_mul(x, v_sigmoid(x));
    case VLM_ACTIVATION_QUICK_GELU: return v_mul(x, v_sigmoid(v_mul(v_set1(1.702f), x)));
    case VLM_ACTIVATION_RELU: return v_max(v_zero(), x);
    case VLM_ACTIVATION_GELU_ERF:
      return v_mul(v_mul(v_set1(0.5f), x), v_add(v_set1(1), v_erf(v_mul(x, v_set1(VLM_SQRT_HALF)))));
    case VLM_ACTIVATION_GELU_TANH: {
      v_f32 cube = v_mul(v_mul(v_mul(v_set1(0.044715f), x), x), x);
      v_f32 t = v_tanh(v_mul(v_set1(VLM_SQRT_2_OVER_PI), v_add(x, cube)));
      return v_mul(v_mul(v_set1(0.5f), x), v_add(v_set1(1), t));
    }
  }
  return x;
}
