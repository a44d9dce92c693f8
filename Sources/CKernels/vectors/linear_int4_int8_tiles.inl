// Tiles of 1 … TILE_ROWS rows, by `thin` and `tall` of the instruction set, and what calls them.

#define DEFINE(R) \
  static __attribute__((noinline)) void near_##R(const tile_run *run, float *sums) { thin(run, sums, false, R); } \
  static __attribute__((noinline)) void far_##R(const tile_run *run, float *sums) { thin(run, sums, true, R); } \
  static __attribute__((noinline)) void tall_##R(const tile_run *run, float *sums) { tall(run, sums, R); }
TILES(DEFINE)
#undef DEFINE

#define NEAR(R) near_##R,
#define FAR(R) far_##R,
#define TALL(R) tall_##R,
static tile_fn *const thin_tiles[][TILE_ROWS] = {{TILES(NEAR)}, {TILES(FAR)}}, *const tall_tiles[TILE_ROWS] = {TILES(TALL)};
#undef NEAR
#undef FAR
#undef TALL

// The rows of one tile take all inputs at once; those of several visit a run of groups while it is in the first cache.
static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  const int64_t rows = vlm_ceil_div(a->rows, vlm_ceil_div(a->rows, TILE_ROWS)), inputs = a->rows <= TILE_ROWS ? a->inputs : vlm_max(a->group, THIN_INPUTS);
  clear_sums(a, b);
  for (int64_t k = 0; k < a->inputs; k += inputs) {
    tile_run run = run_at(a, b->panel, k, vlm_min(inputs, a->inputs - k));
    run.stream = b->stream;
    run.stream.ahead = PREFETCH;
    for (int64_t t = 0; t < a->rows; t += rows, run.stream = no_stream) {
      run.x = i8_group(a, &run, t, k);
      thin_tiles[a->is_far][vlm_min(rows, a->rows - t) - 1](&run, b->sums + t * VLM_PANEL);
    }
  }
}

static void tall_block(const vlm_linear_args *a, const linear_block *b);

static void linear_int8(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
