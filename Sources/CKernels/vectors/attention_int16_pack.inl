// Queries, keys and values of a head → 16-bit codes. The instruction set also gives `i_keep(p, x)`, which stores the low 16 bits of a vector.

static inline v_f32 balanced(const float *x, const float *balance, int64_t i, int64_t count) {
  return v_mul(v_load_part(v_first(count - i), x + i), v_load(balance + i));
}

// A row's codes, with zeros to a whole vector; returns its scale.
static float code_row(const float *x, const float *balance, int64_t head_dim, float most, int16_t *codes) {
  // As integers, so that a NaN is the greatest.
  v_i32 greatest = i_zero();
  for (int64_t i = 0; i < head_dim; i += V_WIDTH) greatest = i_most(greatest, i_magnitudes(balanced(x, balance, i, head_dim)));
  const vlm_i16_rounding rounding = vlm_i16_rounding_to(vlm_bits(i_greatest(greatest)), most);
  const v_f32 inverse = v_set1(rounding.inverse), magic = v_set1(VLM_I16_MAGIC);
  for (int64_t i = 0; i < head_dim; i += V_WIDTH)
    i_keep(codes + i, rounding.inverse > 0 ? v_fma(balanced(x, balance, i, head_dim), inverse, magic) : v_zero());
  return rounding.scale;
}

static void code_query(const float *x, const float *balance, int64_t head_dim, float scale, int16_t *codes, float *row_scale) {
  *row_scale = code_row(x, balance, head_dim, vlm_query_code_most(head_dim), codes) * (scale * VLM_LOG2E);
}

static void code_panels(vlm_coded_keys *p) {
  const int64_t pairs = vlm_ceil_div(p->head_dim, 2), row = vlm_code_row(p->head_dim);
  const float most = vlm_query_code_most(p->head_dim);
  for (int64_t j = 0; j < vlm_ceil_div(p->count, VLM_PANEL) * VLM_PANEL; j += V_WIDTH) {
    uint32_t *panel = p->coded_k + j / VLM_PANEL * pairs * VLM_PANEL + j % VLM_PANEL;
    for (int64_t r = 0; r < V_WIDTH; r++) {
      p->k_scale[j + r] = j + r < p->count ? code_row(p->k + (j + r) * p->k_stride, p->balance, p->head_dim, most, p->rows + r * row) : 0;
      p->spoilt += 0 * p->k_scale[j + r];
    }
    for (int64_t i = 0; i < pairs; i += V_WIDTH) {
      v_f32 in[V_WIDTH], out[V_WIDTH];
#pragma clang loop unroll(full)
      for (int r = 0; r < V_WIDTH; r++) in[r] = j + r < p->count ? v_load((const float *)(p->rows + r * row) + i) : v_zero();
      v_transpose(in, out);
#pragma clang loop unroll(full)
      for (int r = 0; r < V_WIDTH; r++)
        if (i + r < pairs) v_store((float *)panel + (i + r) * VLM_PANEL, out[r]);
    }
  }
}

// Scales of values and their inverses, from the greatest magnitude of each channel.
static void scale_values(const vlm_coded_keys *p) {
  for (int64_t i = 0; i < p->stride; i += V_WIDTH) i_store(p->v_inverse + i, i_zero());
  for (int64_t j = 0; j < p->count; j += 4)
    for (int64_t i = 0; i < p->stride; i += V_WIDTH) {
      const v_mask part = v_first(p->head_dim - i);
      v_i32 most = i_load(p->v_inverse + i);
      for (int64_t r = j; r < vlm_min(j + 4, p->count); r++) most = i_most(most, i_magnitudes(v_load_part(part, p->v + r * p->v_stride + i)));
      i_store(p->v_inverse + i, most);
    }
  for (int64_t i = 0; i < p->stride; i++) {
    const vlm_i16_rounding rounding = vlm_i16_rounding_to(vlm_bits(p->v_inverse[i]), VLM_VALUE_CODE_MOST);
    p->v_scale[i] = rounding.scale;
    p->v_inverse[i] = rounding.inverse;
  }
}

static void code_values(const vlm_coded_keys *p) {
  const v_f32 magic = v_set1(VLM_I16_MAGIC);
  scale_values(p);
  for (int64_t j = 0; j < vlm_ceil_div(p->count, 2 * V_WIDTH) * 2 * V_WIDTH; j += 2 * V_WIDTH)
    for (int64_t r = 0; r < V_WIDTH; r++) {
      const float *low = p->v + (j + r) * p->v_stride, *high = low + V_WIDTH * p->v_stride;
      const bool has_low = j + r < p->count, has_high = j + r + V_WIDTH < p->count;
      for (int64_t i = 0; i < p->stride; i += V_WIDTH) {
        const v_mask part = v_first(p->head_dim - i);
        const v_f32 inverse = v_load(p->v_inverse + i);
        v_f32 first = has_low ? v_fma(v_load_part(part, low + i), inverse, magic) : v_zero();
        v_f32 second = has_high ? v_fma(v_load_part(part, high + i), inverse, magic) : v_zero();
        i_store(p->coded_v + (j / 2 + r) * p->stride + i, i_join(first, second));
      }
    }
}

static void balance(const float *k, int64_t k_stride, int64_t count, int64_t head_dim, vlm_balance b) {
  for (int64_t i = 0; i < head_dim; i += V_WIDTH) v_store(b.keys + i, v_zero());
  for (int64_t j = 0; j < count; j += VLM_BALANCE_STEP) {
    const float *row = k + j * k_stride;
    for (int64_t i = 0; i < head_dim; i += V_WIDTH) {
      __builtin_prefetch(row + 6 * VLM_BALANCE_STEP * k_stride + i);
      v_store(b.keys + i, v_add(v_load(b.keys + i), v_abs(v_load_part(v_first(head_dim - i), row + i))));
    }
  }
  for (int64_t i = 0; i < vlm_ceil_div(head_dim, V_WIDTH) * V_WIDTH; i++) vlm_balance_of(b.keys[i], count, b.queries + i, b.keys + i);
}

static void code_keys(vlm_coded_keys *p) {
  p->spoilt = 0;
  code_panels(p);
  code_values(p);
}
