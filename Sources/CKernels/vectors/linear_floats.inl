// The weights of small floats: codes times the scales of their block, in f32.

enum { PANEL_VECTORS = VLM_PANEL / V_WIDTH };

// The weights of one input of e4m3 codes.
VLM_INLINE void weights_f8(const uint8_t *codes, const float *scales, v_f32 w[]) {
  v_widen_f8(codes, w);
#pragma clang loop unroll(full)
  for (int n = 0; n < PANEL_VECTORS; n++) w[n] = v_mul(w[n], v_load(scales + n * V_WIDTH));
}

// The panel's blocks from input k on.
static const uint8_t *f8_blocks(const vlm_linear_args *a, int64_t panel, int64_t k) {
  return (const uint8_t *)a->weight + (size_t)panel * vlm_panel_bytes(VLM_WEIGHT_F8, a->inputs, a->group) + k / a->group * vlm_f8_block_bytes(a->group);
}

// The next 64 bytes of the panel that is read after this one.
static inline void fetch(const void *at, int64_t ahead) { __builtin_prefetch((const char *)at + ahead, 0, 3); }

// What the layers of few rows share: blocks as units, and the end of the inputs.
static inline thin_layer thin_f8_layer(const vlm_linear_args *a, const linear_block *b, int64_t pass) {
  return (thin_layer){.weights = f8_blocks(a, b->panel, 0), .unit_bytes = vlm_f8_block_bytes(a->group), .units = a->inputs / a->group,
                      .group = a->group, .tail = a->inputs % a->group, .pass = pass};
}
