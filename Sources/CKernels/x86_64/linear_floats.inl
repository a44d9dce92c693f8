// The weights of small floats: codes times the scales of their block, in f32.

enum { PANEL_VECTORS = VLM_PANEL / V_WIDTH };

// The weights of one input of e4m3 codes.
VLM_INLINE void weights_f8(const uint8_t *codes, const float *scales, v_f32 w[]) {
  v_widen_f8(codes, w);
#pragma clang loop unroll(full)
  for (int n = 0; n < PANEL_VECTORS; n++) w[n] = v_mul(w[n], v_load(scales + n * V_WIDTH));
}

// The weights of input j of eight inputs of e2m1 codes.
VLM_INLINE void weights_f4(const uint8_t *codes, const float *scales, const int j, v_f32 w[]) {
#pragma clang loop unroll(full)
  for (int n = 0; n < PANEL_VECTORS; n++) w[n] = v_mul(v_pick_f4(codes + 4 * n * V_WIDTH, j), v_load(scales + n * V_WIDTH));
}

static const uint8_t *float_panel(const vlm_linear_args *a, vlm_weight_format format, int64_t panel) {
  return (const uint8_t *)a->weight + (size_t)panel * vlm_panel_bytes(format, a->inputs, a->group);
}

// The next 64 bytes of the panel that is read after this one.
static inline void fetch(const void *at, int64_t ahead) { _mm_prefetch((const char *)at + ahead, _MM_HINT_T0); }

// What the layers of few rows share: blocks as units, and the end of the inputs.
static inline thin_layer thin_float_layer(const vlm_linear_args *a, const linear_block *b, int64_t pass) {
  const vlm_weight_format format = vlm_linear_format(a->kind);
  return (thin_layer){.weights = float_panel(a, format, b->panel), .unit_bytes = vlm_float_block_bytes(format, a->group),
                      .units = a->inputs / a->group, .group = a->group,
                      .tail = a->inputs % a->group, .pass = pass};
}
