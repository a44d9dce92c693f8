// The loop nest of linear layers: panels × inputs, of the rows of one part, in blocks that fit the caches. A block function adds the product
// of one block to f32 sums in scratch; the finished sums get bias, activation and residual and go to y.

#include "prefetch.inl"

typedef struct {
  int64_t panel;            // of VLM_PANEL outputs
  int64_t k, k_count;       // the block's inputs
  float *weights;           // scratch for LINEAR_WEIGHTS bytes of unpacked weights
  float *sums;              // [rows, VLM_PANEL]
  bool accumulate;          // whether sums hold earlier inputs' products
  bool is_first;            // whether it is the first panel of these inputs and rows
  weight_stream stream;     // of all panels of the range
} linear_block;

typedef void linear_block_fn(const vlm_linear_args *args, const linear_block *block);

enum { LINEAR_PANELS = 8, LINEAR_TILE = 32, LINEAR_WEIGHTS = 64 << 10 };

// One row of one panel.
static inline void linear_finish_row(const vlm_linear_args *a, int64_t row, int64_t panel, const float *sums) {
  float *y = a->y + row * a->y_stride;
  const float *residual = a->residual ? a->residual + row * a->residual_stride : NULL;
  for (int n = 0; n < VLM_PANEL; n += V_WIDTH) {
    int64_t column = panel * VLM_PANEL + n;
    v_mask m = v_first(a->outputs - column);
    v_f32 value = v_load(sums + n);
    if (a->bias) value = v_add(value, v_load_part(m, a->bias + column));
    if (a->activation != VLM_ACTIVATION_NONE) value = v_activate(a->activation, value);
    if (residual) value = v_add(value, v_load_part(m, residual + column));
    v_store_part(y + column, m, value);
  }
}

// Prefetches the share of the next weights that belongs to rows [t, t + rows) of a block; few rows stream by themselves.
static inline void linear_prefetch(const vlm_linear_args *a, const void *next, int64_t bytes, int64_t t, int64_t rows) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) return;
  int64_t first = bytes * t / a->rows / 64 * 64, last = bytes * (t + rows) / a->rows;
  for (int64_t i = first; i < last; i += 64) __builtin_prefetch((const char *)next + i, 0, 2);
}

// How a range of panels is cut: the panels whose sums are in scratch at once, and the inputs of one call.
typedef struct {
  int64_t panels, inputs;
} linear_cut;

static void linear_blocks(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch, linear_block_fn *run, linear_cut cut) {
  // Whole tiles, where a part has not.
  const int64_t stride = vlm_ceil_div(a->rows, LINEAR_TILE) * LINEAR_TILE * VLM_PANEL;
  float *sums = (float *)((char *)scratch + LINEAR_WEIGHTS);
  const int64_t bytes = (int64_t)vlm_panel_bytes(vlm_linear_format(a->kind), a->inputs, a->group);
  const weight_stream stream = {(const char *)a->weight + begin * bytes, (const char *)a->weight + end * bytes, 0};
  if (a->is_far && cut.panels == 1) stream_begin(&stream);
  for (int64_t first = begin; first < end; first += cut.panels) {
    int64_t last = vlm_min(end, first + cut.panels);
    linear_block b = {.weights = scratch, .stream = stream};
    for (b.k = 0; b.k < a->inputs; b.k += cut.inputs)
      for (b.panel = first; b.panel < last; b.panel++) {
        b.k_count = vlm_min(cut.inputs, a->inputs - b.k);
        b.sums = sums + (b.panel - first) * stride;
        b.accumulate = b.k > 0;
        b.is_first = b.panel == first;
        run(a, &b);
      }
    // All panels of a row in turn, so that y is written along its rows.
    for (int64_t t = 0; t < a->rows; t++)
      for (int64_t p = first; p < last; p++) linear_finish_row(a, t, p, sums + (p - first) * stride + t * VLM_PANEL);
  }
}
