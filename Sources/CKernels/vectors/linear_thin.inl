// Few rows, whose weights come from memory: a panel is read once, in visits of some KiB that stay in the first cache while all
// rows pass. Every sum sees its inputs in order, as it does among many rows: a row's result does not depend on how many
// others are computed with it.

enum { THIN_BYTES = 2048 };

// A run of units (pairs of inputs, or groups) of one panel for the rows of one pass.
typedef struct {
  const void *x;      // of the run's first unit
  int64_t x_stride;   // bytes between rows
  const void *weights;
  int64_t units, group;
  weight_stream stream;
} thin_piece;

typedef void thin_run_fn(const thin_piece *piece, float *sums);

typedef struct {
  const void *x;
  int64_t x_stride, x_unit;  // bytes between rows, and of a unit
  const void *weights;       // of the panel
  int64_t unit_bytes, units, group;
  int64_t tail;              // inputs of a smaller group behind the units
  int64_t pass;              // most rows of a run
} thin_layer;

// Sums of a block's panel; runs[R − 1] adds a run of R rows.
static inline void thin_panel(const vlm_linear_args *a, const thin_layer *l, const linear_block *b, thin_run_fn *const *runs) {
  const int64_t per_pass = vlm_ceil_div(a->rows, vlm_ceil_div(a->rows, l->pass)), per_visit = vlm_max(1, THIN_BYTES / l->unit_bytes);
  __builtin_memset(b->sums, 0, (size_t)(a->rows * VLM_PANEL) * sizeof(float));
  for (int64_t first = 0; first < l->units; first += per_visit) {
    thin_piece piece = {.x_stride = l->x_stride, .group = l->group, .weights = (const char *)l->weights + first * l->unit_bytes,
                        .units = vlm_min(per_visit, l->units - first), .stream = b->stream};
    piece.stream.ahead = per_visit * l->unit_bytes;
    for (int64_t t = 0; t < a->rows; t += per_pass, piece.stream = no_stream) {
      piece.x = (const char *)l->x + t * l->x_stride + first * l->x_unit;
      runs[vlm_min(per_pass, a->rows - t) - 1](&piece, b->sums + t * VLM_PANEL);
    }
  }
  for (int64_t t = 0; t < a->rows && l->tail > 0; t += per_pass) {
    thin_piece piece = {.x = (const char *)l->x + t * l->x_stride + l->units * l->x_unit, .x_stride = l->x_stride, .units = 1, .group = l->tail,
                        .weights = (const char *)l->weights + l->units * l->unit_bytes};
    runs[vlm_min(per_pass, a->rows - t) - 1](&piece, b->sums + t * VLM_PANEL);
  }
}
