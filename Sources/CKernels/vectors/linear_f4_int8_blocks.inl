// e2m1 layers over rows of int8 in blocks of VLM_F4_BLOCK inputs. The products of VLM_F4_DOT inputs are summed as whole numbers of 16 bits;
// these times their group's scale as a whole number are summed over a block, again as integers. A block ends in one f32 product.

enum { STEP_BYTES = VLM_PANEL * 4, BLOCK_DOTS = VLM_F4_BLOCK / VLM_F4_DOT };

// A block of a panel for the rows of a tile.
typedef struct {
  const char *x;              // the first row's block
  int64_t x_stride;           // bytes between rows
  const uint8_t *codes, *scales;
  const float *outputs;       // the panel's output scales
  const struct unpacked *w;   // many rows: the block unpacked
  int64_t dots;
  weight_stream stream;
  bool is_far;                // as in vlm_linear_args
  int group;
} tile_run;

// A block for many rows.
typedef struct unpacked {
  uint8_t u8[VLM_F4_BLOCK * VLM_PANEL];         // twice the numbers, on x86-64 plus VLM_I8_CENTRE: [inputs/4][VLM_PANEL][4]
  int32_t factors[BLOCK_DOTS * VLM_PANEL];      // the groups' scales in their unit, as `factor` of the instruction set gives them
  float scale[VLM_PANEL];                       // unit times output scale
} unpacked;

typedef void tile_fn(const tile_run *run, float *sums);

static tile_run run_at(const vlm_linear_args *a, int64_t panel, int64_t k) {
  const uint8_t *first = (const uint8_t *)a->weight + (size_t)panel * vlm_panel_bytes(VLM_WEIGHT_F4, a->inputs, a->group);
  return (tile_run){
      .x_stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8_BLOCKS, a->inputs, 0),
      .codes = first + vlm_f4_codes_at(k, a->group),
      .scales = first + vlm_f4_scales_at(k, a->group),
      .outputs = (const float *)first,
      .dots = vlm_min(VLM_F4_BLOCK, a->inputs - k) / VLM_F4_DOT,
      .is_far = a->is_far,
      .group = (int)a->group,
  };
}

// Twice the e2m1 numbers, plus VLM_I8_CENTRE.
#define TWICE_F4 16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4
