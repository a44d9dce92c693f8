// int4 layers over rows of int8: every panel in the weight's groups.

enum { STEP_BYTES = VLM_PANEL * 4, THIN_INPUTS = 512 };

// A run of groups for the rows of a tile.
typedef struct {
  const char *x;       // the first row's first group
  int64_t x_stride;    // bytes between rows
  const uint8_t *w;    // the panel's blocks
  const uint8_t *u8;   // many rows: the groups' codes as u8 [inputs/4][VLM_PANEL][4]
  int64_t group, groups;
  weight_stream stream;
} tile_run;

typedef void tile_fn(const tile_run *run, float *sums);

// The f16 scales and zeros behind a block's codes.
static inline const uint16_t *block_scales(const uint8_t *block, int64_t group) { return (const uint16_t *)(block + group * VLM_PANEL / 2); }

static tile_run run_at(const vlm_linear_args *a, int64_t panel, int64_t k, int64_t inputs) {
  return (tile_run){
      .x_stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group),
      .w = (const uint8_t *)a->weight + (panel * (a->inputs / a->group) + k / a->group) * (int64_t)vlm_int4_block_bytes(a->group),
      .group = a->group,
      .groups = inputs / a->group,
  };
}

// Where the group of input k of a packed row begins.
static const char *i8_group(const vlm_linear_args *a, const tile_run *run, int64_t row, int64_t k) {
  return (const char *)a->packed + row * run->x_stride + k / a->group * vlm_i8_group_bytes(a->group);
}

static void clear_sums(const vlm_linear_args *a, const linear_block *b) {
  if (!b->accumulate) __builtin_memset(b->sums, 0, (size_t)(a->rows * VLM_PANEL) * sizeof(float));
}
