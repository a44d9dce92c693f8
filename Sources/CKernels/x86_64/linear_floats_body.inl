// Linear layers over small floats: blocks of scales and codes, whose products are the weights, in f32 arithmetic. Few rows read
// the codes as they come from memory; for many rows they are written out first. Either way the same numbers are multiplied.

#include "linear_floats.inl"

VLM_INLINE void store_weights(const v_f32 w[], float *y) {
#pragma clang loop unroll(full)
  for (int n = 0; n < PANEL_VECTORS; n++) v_store(y + n * V_WIDTH, w[n]);
}

// Blocks of small floats → rows of f32.
VLM_INLINE void block_floats(const vlm_linear_args *a, const linear_block *b, const vlm_weight_format format) {
  const int64_t bytes = vlm_float_block_bytes(format, a->group);
  const uint8_t *first = float_panel(a, format, b->panel) + b->k / a->group * bytes, *block = first;
  float *y = b->weights;
  v_f32 w[PANEL_VECTORS];
  for (int64_t k = 0; k < b->k_count; k += a->group, block += bytes) {
    const float *scales = (const float *)block;
    const uint8_t *codes = block + VLM_FLOAT_SCALE_BYTES;
    const int64_t count = vlm_min(a->group, b->k_count - k);
    if (format == VLM_WEIGHT_F8) {
      for (int64_t i = 0; i < count; i++, codes += VLM_PANEL, y += VLM_PANEL) {
        weights_f8(codes, scales, w);
        store_weights(w, y);
      }
    } else {
      for (int64_t i = 0; i < count; i += 8, codes += VLM_PANEL * 4)
#pragma clang loop unroll(full)
        for (int j = 0; j < 8; j++, y += VLM_PANEL) {
          weights_f4(codes, scales, j, w);
          store_weights(w, y);
        }
    }
  }
  multiply_block(a, b, b->weights, first + vlm_panel_bytes(format, a->inputs, a->group), block - first);
}

static void block_f8(const vlm_linear_args *a, const linear_block *b) { block_floats(a, b, VLM_WEIGHT_F8); }
static void block_f4(const vlm_linear_args *a, const linear_block *b) { block_floats(a, b, VLM_WEIGHT_F4); }

VLM_INLINE void add_weights(const row_pointers *x, int64_t stride, const int offset, const v_f32 w[], v_f32 sum[][PANEL_VECTORS], const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    v_f32 value = v_set1(*(const float *)row_pointer(x, stride, m, offset));
#pragma clang loop unroll(full)
    for (int n = 0; n < PANEL_VECTORS; n++) sum[m][n] = v_fma(value, w[n], sum[m][n]);
  }
}

// Adds a run of blocks to the sums of a few rows, in the order of the inputs.
VLM_INLINE void thin_floats(const thin_piece *p, float *sums, const vlm_weight_format format, const int rows) {
  v_f32 sum[THIN_FLOAT_PASS][PANEL_VECTORS], w[PANEL_VECTORS];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < PANEL_VECTORS; n++) sum[m][n] = v_load(sums + m * VLM_PANEL + n * V_WIDTH);
  row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *codes = p->weights;
  for (int64_t unit = 0; unit < p->units; unit++) {
    const float *scales = (const float *)codes;
    fetch(codes, p->ahead);
    fetch(codes + 64, p->ahead);
    codes += VLM_FLOAT_SCALE_BYTES;
    if (format == VLM_WEIGHT_F8) {
      int64_t left = p->group;
      for (; left >= 4; left -= 4, codes += 4 * VLM_PANEL, row_pointers_advance(&x, 16, rows)) {
        fetch(codes, p->ahead);
        fetch(codes + 64, p->ahead);
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) {
          weights_f8(codes + j * VLM_PANEL, scales, w);
          add_weights(&x, p->x_stride, 4 * j, w, sum, rows);
        }
      }
      for (; left > 0; left--, codes += VLM_PANEL, row_pointers_advance(&x, 4, rows)) {
        weights_f8(codes, scales, w);
        add_weights(&x, p->x_stride, 0, w, sum, rows);
      }
    } else {
      for (int64_t left = p->group; left > 0; left -= 8, codes += 4 * VLM_PANEL, row_pointers_advance(&x, 32, rows)) {
        fetch(codes, p->ahead);
        fetch(codes + 64, p->ahead);
#pragma clang loop unroll(full)
        for (int j = 0; j < 8; j++) {
          weights_f4(codes, scales, j, w);
          add_weights(&x, p->x_stride, 4 * j, w, sum, rows);
        }
      }
    }
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < PANEL_VECTORS; n++) v_store(sums + m * VLM_PANEL + n * V_WIDTH, sum[m][n]);
}

#define THIN_DEFINE(R) \
  static __attribute__((noinline)) void thin_f8_##R(const thin_piece *p, float *sums) { thin_floats(p, sums, VLM_WEIGHT_F8, R); } \
  static __attribute__((noinline)) void thin_f4_##R(const thin_piece *p, float *sums) { thin_floats(p, sums, VLM_WEIGHT_F4, R); }
THIN_FLOAT_CASES(THIN_DEFINE)
#undef THIN_DEFINE

#define THIN_F8(R) thin_f8_##R,
#define THIN_F4(R) thin_f4_##R,
static thin_run_fn *const f8_runs[] = {THIN_FLOAT_CASES(THIN_F8)}, *const f4_runs[] = {THIN_FLOAT_CASES(THIN_F4)};
#undef THIN_F8
#undef THIN_F4

static void thin_block_floats(const vlm_linear_args *a, const linear_block *b) {
  thin_layer layer = thin_float_layer(a, b, THIN_FLOAT_PASS);
  layer.x = a->x + b->row * a->x_stride;
  layer.x_stride = a->x_stride * 4;
  layer.x_unit = a->group * 4;
  thin_panel(&layer, b, vlm_linear_format(a->kind) == VLM_WEIGHT_F8 ? f8_runs : f4_runs);
}
