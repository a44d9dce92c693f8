// Tiles of 1 … TILE_ROWS rows for each kind of code, by `thin` and `tall` of the instruction set, and what calls them.

#define DEFINE(KIND, R) \
  static __attribute__((noinline)) void thin_##KIND##_##R(const tile_run *run, float *sums) { thin(run, sums, KIND, R); } \
  static __attribute__((noinline)) void tall_##KIND##_##R(const tile_run *run, float *sums) { tall(run, sums, KIND, R); }
TILES(DEFINE, INT4)
TILES(DEFINE, MXFP4)
TILES(DEFINE, NVFP4)
#undef DEFINE

#define THIN(KIND, R) thin_##KIND##_##R,
#define TALL(KIND, R) tall_##KIND##_##R,
static tile_fn *const thin_tiles[3][TILE_ROWS] = {{TILES(THIN, INT4)}, {TILES(THIN, MXFP4)}, {TILES(THIN, NVFP4)}};
static tile_fn *const tall_tiles[3][TILE_ROWS] = {{TILES(TALL, INT4)}, {TILES(TALL, MXFP4)}, {TILES(TALL, NVFP4)}};
#undef THIN
#undef TALL

// All rows visit a run of groups while it is in the first cache.
static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  const int64_t rows = vlm_ceil_div(b->rows, vlm_ceil_div(b->rows, TILE_ROWS)), inputs = vlm_max(a->group, THIN_INPUTS);
  clear_sums(b);
  for (int64_t k = 0; k < a->inputs; k += inputs) {
    tile_run run = {.x_stride = i8_stride(a), .w = groups_at(a, b->panel, k), .groups = vlm_min(inputs, a->inputs - k) / a->group, .ahead = PREFETCH};
    for (int64_t t = 0; t < b->rows; t += rows, run.ahead = 0) {
      run.x = i8_rows(a, b->row + t, k);
      thin_tiles[kind_of(a)][vlm_min(rows, b->rows - t) - 1](&run, b->sums + t * VLM_PANEL);
    }
  }
}

static void tall_block(const vlm_linear_args *a, const linear_block *b);

static void linear_int8(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
