// Linear layers over small floats: blocks of scales and codes, whose products are the weights, in f32 arithmetic. Few rows read
// the codes as they come from memory; for many rows they are written out first. Either way the same numbers are multiplied.

#include "../vectors/linear_floats.inl"

VLM_INLINE void store_weights(const v_f32 w[], float *y) {
#pragma clang loop unroll(full)
  for (int n = 0; n < PANEL_VECTORS; n++) v_store(y + n * V_WIDTH, w[n]);
}

// F8 blocks → rows of f32.
static void block_f8(const vlm_linear_args *a, const linear_block *b) {
  const uint8_t *first = f8_blocks(a, b->panel, b->k), *block = first;
  float *y = b->weights;
  v_f32 w[PANEL_VECTORS];
  for (int64_t k = 0; k < b->k_count; k += a->group, block += vlm_f8_block_bytes(a->group)) {
    const uint8_t *codes = block + VLM_F8_SCALE_BYTES;
    for (int64_t i = 0; i < vlm_min(a->group, b->k_count - k); i++, codes += VLM_PANEL, y += VLM_PANEL) {
      weights_f8(codes, (const float *)block, w);
      store_weights(w, y);
    }
  }
  multiply_block(a, b, b->weights, first + vlm_panel_bytes(VLM_WEIGHT_F8, a->inputs, a->group), block - first);
}

// Groups of a block of an F4 panel, from one on.
typedef struct {
  const uint8_t *codes, *scales;
  const float *outputs;  // the panel's output scales
  int64_t group;
} f4_groups;

static f4_groups f4_groups_at(const vlm_linear_args *a, int64_t panel, int64_t k) {
  const uint8_t *first = (const uint8_t *)a->weight + (size_t)panel * vlm_panel_bytes(VLM_WEIGHT_F4, a->inputs, a->group);
  return (f4_groups){first + vlm_f4_codes_at(k, a->group), first + vlm_f4_scales_at(k, a->group), (const float *)first, a->group};
}

// The scales of the first group, which is left behind.
static inline void f4_next_scales(f4_groups *w, v_f32 scale[]) {
#pragma clang loop unroll(full)
  for (int n = 0; n < PANEL_VECTORS; n++) scale[n] = v_mul(v_scales_f4(w->scales + n * V_WIDTH, w->group == 16), v_load(w->outputs + n * V_WIDTH));
  w->scales += VLM_PANEL;
}

// The weights of input j of a step.
VLM_INLINE void weights_f4(const uint8_t *codes, const v_f32 scale[], const int j, v_f32 w[]) {
#pragma clang loop unroll(full)
  for (int n = 0; n < PANEL_VECTORS; n++) w[n] = v_mul(v_twice_f4(codes + 4 * n * V_WIDTH, j), scale[n]);
}

// F4 groups → rows of f32.
static void block_f4(const vlm_linear_args *a, const linear_block *b) {
  const uint8_t *next = f4_groups_at(a, b->panel, b->k).codes + vlm_panel_bytes(VLM_WEIGHT_F4, a->inputs, a->group);
  float *y = b->weights;
  v_f32 scale[PANEL_VECTORS], w[PANEL_VECTORS];
  for (int64_t k = 0; k < b->k_count; k += a->group) {
    f4_groups groups = f4_groups_at(a, b->panel, b->k + k);
    f4_next_scales(&groups, scale);
    for (int64_t i = 0; i < a->group; i += 8, groups.codes += VLM_PANEL * 4)
#pragma clang loop unroll(full)
      for (int j = 0; j < 8; j++, y += VLM_PANEL) {
        weights_f4(groups.codes, scale, j, w);
        store_weights(w, y);
      }
  }
  multiply_block(a, b, b->weights, next, b->k_count / 8 * (VLM_PANEL * 4));
}

VLM_INLINE void add_weights(const row_pointers *x, int64_t stride, const int offset, const v_f32 w[], v_f32 sum[][PANEL_VECTORS], const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    v_f32 value = v_set1(*(const float *)row_pointer(x, stride, m, offset));
#pragma clang loop unroll(full)
    for (int n = 0; n < PANEL_VECTORS; n++) sum[m][n] = v_fma(value, w[n], sum[m][n]);
  }
}

VLM_INLINE void load_sums(const float *sums, v_f32 sum[][PANEL_VECTORS], const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < PANEL_VECTORS; n++) sum[m][n] = v_load(sums + m * VLM_PANEL + n * V_WIDTH);
}

VLM_INLINE void store_sums(float *sums, v_f32 sum[][PANEL_VECTORS], const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < PANEL_VECTORS; n++) v_store(sums + m * VLM_PANEL + n * V_WIDTH, sum[m][n]);
}

// Adds a run of F8 blocks to the sums of a few rows, in the order of the inputs.
VLM_INLINE void thin_f8(const thin_piece *p, float *sums, const int rows) {
  v_f32 sum[THIN_FLOAT_PASS][PANEL_VECTORS], w[PANEL_VECTORS];
  load_sums(sums, sum, rows);
  row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *codes = p->weights;
  for (int64_t unit = 0; unit < p->units; unit++) {
    const float *scales = (const float *)codes;
    fetch(codes, p->stream.ahead);
    fetch(codes + 64, p->stream.ahead);
    codes += VLM_F8_SCALE_BYTES;
    int64_t left = p->group;
    for (; left >= 4; left -= 4, codes += 4 * VLM_PANEL, row_pointers_advance(&x, 16, rows)) {
      fetch(codes, p->stream.ahead);
      fetch(codes + 64, p->stream.ahead);
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
  }
  store_sums(sums, sum, rows);
}

// Adds inputs of a block of an F4 panel to the sums of a few rows, in the order of the inputs.
VLM_INLINE void thin_f4(f4_groups w, int64_t inputs, const float *first, int64_t x_stride, float *sums, const int rows) {
  v_f32 sum[THIN_FLOAT_PASS][PANEL_VECTORS], scale[PANEL_VECTORS], weight[PANEL_VECTORS];
  load_sums(sums, sum, rows);
  row_pointers x = row_pointers_at(first, x_stride, rows);
  for (int64_t k = 0; k < inputs; k += 8, w.codes += 4 * VLM_PANEL, row_pointers_advance(&x, 32, rows)) {
    if (k % w.group == 0) f4_next_scales(&w, scale);
    fetch(w.codes, THIN_BYTES);
    fetch(w.codes + 64, THIN_BYTES);
#pragma clang loop unroll(full)
    for (int j = 0; j < 8; j++) {
      weights_f4(w.codes, scale, j, weight);
      add_weights(&x, x_stride, 4 * j, weight, sum, rows);
    }
  }
  store_sums(sums, sum, rows);
}

#define THIN_DEFINE(R) \
  static __attribute__((noinline)) void thin_f8_##R(const thin_piece *p, float *sums) { thin_f8(p, sums, R); } \
  static __attribute__((noinline)) void thin_f4_##R(f4_groups w, int64_t inputs, const float *x, int64_t x_stride, float *sums) { \
    thin_f4(w, inputs, x, x_stride, sums, R); \
  }
THIN_FLOAT_CASES(THIN_DEFINE)
#undef THIN_DEFINE

typedef void thin_f4_fn(f4_groups w, int64_t inputs, const float *x, int64_t x_stride, float *sums);
#define THIN_F8(R) thin_f8_##R,
#define THIN_F4(R) thin_f4_##R,
static thin_run_fn *const f8_runs[] = {THIN_FLOAT_CASES(THIN_F8)};
static thin_f4_fn *const f4_runs[] = {THIN_FLOAT_CASES(THIN_F4)};
#undef THIN_F8
#undef THIN_F4

static void thin_block_f8(const vlm_linear_args *a, const linear_block *b) {
  thin_layer layer = thin_f8_layer(a, b, THIN_FLOAT_PASS);
  layer.x = a->x;
  layer.x_stride = a->x_stride * 4;
  layer.x_unit = a->group * 4;
  thin_panel(a, &layer, b, f8_runs);
}

// All rows pass over a block while its codes are in the first cache.
static void thin_block_f4(const vlm_linear_args *a, const linear_block *b) {
  __builtin_memset(b->sums, 0, (size_t)(a->rows * VLM_PANEL) * sizeof(float));
  for (int64_t k = 0; k < a->inputs; k += VLM_F4_BLOCK)
    for (int64_t t = 0; t < a->rows; t += THIN_FLOAT_PASS) {
      const float *x = a->x + t * a->x_stride + k;
      f4_runs[vlm_min(THIN_FLOAT_PASS, a->rows - t) - 1](f4_groups_at(a, b->panel, k), vlm_min(VLM_F4_BLOCK, a->inputs - k), x, a->x_stride * 4,
                                                         b->sums + t * VLM_PANEL);
    }
}
