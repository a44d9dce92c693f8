// Tiles of 1 … TILE_ROWS rows for groups of 32 (MXFP4) and of 16 (NVFP4), by `tile` and `unpack` of the instruction set, and what calls them.

#define THIN(GROUP, R) \
  static __attribute__((noinline)) void thin_##GROUP##_##R(const tile_run *run, float *sums) { tile(run, sums, false, GROUP, R); }
#define TALL(GROUP, R) static __attribute__((noinline)) void tall_##R(const tile_run *run, float *sums) { tile(run, sums, true, run->group, R); }
TILES(THIN, 16)
TILES(THIN, 32)
TILES(TALL, any)
#undef THIN
#undef TALL

#define THIN(GROUP, R) thin_##GROUP##_##R,
#define TALL(GROUP, R) tall_##R,
static tile_fn *const thin_tiles[2][TILE_ROWS] = {{TILES(THIN, 16)}, {TILES(THIN, 32)}}, *const tall_tiles[TILE_ROWS] = {TILES(TALL, any)};
#undef THIN
#undef TALL

// All rows visit a block of weights while it is in the first cache.
static void f4_block(const vlm_linear_args *a, const linear_block *b) {
  const bool is_tall = a->rows > VLM_LINEAR_FEW_ROWS;
  const int64_t rows = is_tall ? TILE_ROWS : vlm_ceil_div(a->rows, vlm_ceil_div(a->rows, TILE_ROWS));
  if (!b->accumulate) __builtin_memset(b->sums, 0, (size_t)(a->rows * VLM_PANEL) * sizeof(float));
  for (int64_t k = b->k; k < b->k + b->k_count; k += VLM_F4_BLOCK) {
    tile_run run = run_at(a, b->panel, k);
    if (is_tall) unpack(&run, (unpacked *)b->weights, a->group);
    run.w = (const unpacked *)b->weights;
    const int64_t bytes = run.dots * VLM_F4_DOT * VLM_PANEL / 2 + vlm_f4_scale_bytes(a->group);
    run.stream = b->stream;
    run.stream.ahead = bytes;
    for (int64_t t = 0; t < a->rows; t += rows, run.stream = no_stream) {
      if (is_tall) linear_prefetch(a, run.codes + bytes, bytes, t, rows);
      run.x = (const char *)a->packed + t * run.x_stride + k / VLM_F4_BLOCK * (int64_t)sizeof(vlm_f4_row_block);
      const int64_t last = vlm_min(rows, a->rows - t) - 1;
      (is_tall ? tall_tiles : thin_tiles[a->group == 32])[last](&run, b->sums + t * VLM_PANEL);
    }
  }
}

static void linear_f4_int8(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, f4_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, f4_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
