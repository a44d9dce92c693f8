// bf16 layers over rows of 16-bit codes: a tile is up to TILE_ROWS rows × two vectors of outputs, whose sums over a block of inputs are
// integers. The instruction set gives `v_i32`, the sums of V_WIDTH outputs; `v_i16`, two weights of each; `v_pair`, two codes of a row for all;
// `i_dot(sums, weights, pair)`; `i_magnitudes(most, weights)`, the greater of magnitudes, and `i_greatest`, of the two in the end;
// `i_codes(weights, inverse)`, in an order that `i_dot` knows.

#include "row_pointers.inl"

// Up to ROUNDING_ROWS rows have weights rounded on the way to their product; more read them from scratch.
enum { STEP_BYTES = VLM_PANEL * 4, BLOCK_BYTES = VLM_I16_BLOCK / 2 * STEP_BYTES };

// What scratch holds of a block of a panel.
typedef struct {
  float scale[VLM_PANEL], inverse[VLM_PANEL];
  uint8_t codes[BLOCK_BYTES];
} i16_weights;
_Static_assert(sizeof(i16_weights) <= LINEAR_WEIGHTS, "a block fits scratch");

typedef struct {
  const char *x, *x_scale;  // the block's codes and scale of the first row
  int64_t x_stride;         // bytes between rows
  const char *w;            // steps of two inputs of a panel: bf16 or codes
  const i16_weights *weights;
  int64_t steps;
  bool is_first;            // whether it is the first block: the sums are to be written
  const char *next;         // half a block of weights to prefetch while these are rounded
} i16_piece;

typedef void i16_tile_fn(const i16_piece *piece, float *sums);

VLM_INLINE void i16_step(const i16_piece *p, const row_pointers *x, const int offset, const char *w, const v_f32 inverse[], v_i32 dot[][2],
                         const bool is_rounding, const int rows) {
  v_i16 pair[2];
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    pair[n] = i_load(w + 4 * V_WIDTH * n);
    if (is_rounding) pair[n] = i_codes(pair[n], inverse[n]);
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    v_pair value = i_set1(row_pointer(x, p->x_stride, m, offset));
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) dot[m][n] = i_dot(dot[m][n], pair[n], value);
  }
}

// sums += dot · (row's scale · output's scale) with every product rounded.
VLM_INLINE void i16_add(const i16_piece *p, const int first, v_i32 dot[][2], float *sums, const int rows) {
  row_pointers x = row_pointers_at(p->x_scale, p->x_stride, rows);
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    v_f32 scale = v_load(p->weights->scale + first + n * V_WIDTH);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      float *sum = sums + m * VLM_PANEL + n * V_WIDTH;
      v_f32 product = v_mul(i_floats(dot[m][n]), v_mul(v_set1(*(const float *)row_pointer(&x, p->x_stride, m, 0)), scale));
      v_store(sum, v_add(p->is_first ? v_zero() : v_load(sum), product));
    }
  }
}

VLM_INLINE void i16_tile(const i16_piece *p, float *sums, const bool is_rounding, const int rows) {
  for (int first = 0; first < VLM_PANEL; first += 2 * V_WIDTH) {
    row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
    const char *w = p->w + 4 * first, *next = p->next + first * (BLOCK_BYTES / 2 / VLM_PANEL);
    v_i32 dot[TILE_ROWS][2];
    v_f32 inverse[2];
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) {
      inverse[n] = v_load(p->weights->inverse + first + n * V_WIDTH);
#pragma clang loop unroll(full)
      for (int m = 0; m < rows; m++) dot[m][n] = i_zero();
    }
    int64_t step = p->steps;
#pragma clang loop unroll(disable)
    for (; step >= 4; step -= 4, row_pointers_advance(&x, 16, rows)) {
      if (is_rounding) {
#pragma clang loop unroll(full)
        for (int line = 0; line < 8 * V_WIDTH / 32; line++, next += 64) __builtin_prefetch(next, 0, 2);
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++, w += STEP_BYTES) i16_step(p, &x, 4 * i, w, inverse, dot, is_rounding, rows);
    }
#pragma clang loop unroll(disable)
    for (; step > 0; step--, row_pointers_advance(&x, 4, rows), w += STEP_BYTES) i16_step(p, &x, 0, w, inverse, dot, is_rounding, rows);
    i16_add(p, first, dot, sums + first, rows);
  }
}

#define DEFINE(R) \
  static __attribute__((noinline)) void tile_##R(const i16_piece *p, float *sums) { i16_tile(p, sums, false, R); }
#define DEFINE_ROUNDING(R) \
  static __attribute__((noinline)) void rounding_##R(const i16_piece *p, float *sums) { i16_tile(p, sums, true, R); }
TILES(DEFINE)
ROUNDING_TILES(DEFINE_ROUNDING)
#undef DEFINE
#undef DEFINE_ROUNDING
#define TILE(R) tile_##R,
#define ROUNDING_TILE(R) rounding_##R,
static i16_tile_fn *const tiles[] = {TILES(TILE)}, *const rounding_tiles[] = {ROUNDING_TILES(ROUNDING_TILE)};
enum { ROUNDING_ROWS = sizeof rounding_tiles / sizeof *rounding_tiles };
#undef TILE
#undef ROUNDING_TILE

// Scales of a block's outputs and their inverses; `next` is a line to prefetch for every step.
VLM_INLINE void i16_scales(const char *w, int64_t steps, const char *next, i16_weights *weights) {
  const v_f32 most = v_set1(VLM_I16_MOST), least = v_set1(VLM_I16_LEAST);
  v_i16 pairs[VLM_PANEL / V_WIDTH];
#pragma clang loop unroll(full)
  for (int n = 0; n < VLM_PANEL / V_WIDTH; n++) pairs[n] = i_none();
  for (int64_t step = 0; step < steps; step++, w += STEP_BYTES) {
    if (next) __builtin_prefetch(next + 64 * step, 0, 2);
#pragma clang loop unroll(full)
    for (int n = 0; n < VLM_PANEL / V_WIDTH; n++) pairs[n] = i_magnitudes(pairs[n], i_load(w + 4 * V_WIDTH * n));
  }
#pragma clang loop unroll(full)
  for (int n = 0; n < VLM_PANEL / V_WIDTH; n++) {
    v_f32 greatest = i_greatest(pairs[n]);
    v_mask is_zero = v_less(greatest, least);
    v_store(weights->scale + n * V_WIDTH, v_select(is_zero, v_zero(), v_div(greatest, most)));
    v_store(weights->inverse + n * V_WIDTH, v_select(is_zero, v_zero(), v_div(most, greatest)));
  }
}

// Weights of a block → codes.
VLM_INLINE void i16_round(const char *w, int64_t steps, const char *next, i16_weights *weights) {
  v_f32 inverse[VLM_PANEL / V_WIDTH];
#pragma clang loop unroll(full)
  for (int n = 0; n < VLM_PANEL / V_WIDTH; n++) inverse[n] = v_load(weights->inverse + n * V_WIDTH);
  char *codes = (char *)weights->codes;
  for (int64_t step = 0; step < steps; step++, w += STEP_BYTES, codes += STEP_BYTES) {
#pragma clang loop unroll(full)
    for (int n = 0; n < VLM_PANEL / V_WIDTH; n++) i_store(codes + 4 * V_WIDTH * n, i_codes(i_load(w + 4 * V_WIDTH * n), inverse[n]));
    if (next) __builtin_prefetch(next + 64 * step, 0, 2);
  }
}

// One panel of a block of inputs for all its rows. Few rows ask for the next block meanwhile, which comes behind it.
static void i16_block(const vlm_linear_args *a, const linear_block *b) {
  const int64_t panel = (int64_t)vlm_panel_bytes(VLM_WEIGHT_BF16, a->inputs, 0), row_bytes = (int64_t)vlm_row_bytes(VLM_ROWS_INT16_BLOCKS, a->inputs, 0);
  const char *w = (const char *)a->weight + b->panel * panel + b->k / 2 * STEP_BYTES, *row = (const char *)a->packed;
  const char *next = a->rows <= VLM_LINEAR_FEW_ROWS ? w + BLOCK_BYTES : NULL;
  const bool is_rounding = a->rows <= ROUNDING_ROWS;
  i16_weights *weights = (i16_weights *)b->weights;
  i16_piece p = {.x_stride = row_bytes, .w = w, .weights = weights, .steps = vlm_ceil_div(b->k_count, 2), .is_first = !b->accumulate,
                 .next = w + BLOCK_BYTES + BLOCK_BYTES / 2};
  i16_scales(w, p.steps, next, weights);
  if (!is_rounding) {
    i16_round(w, p.steps, next ? p.next : NULL, weights);
    p.w = (const char *)weights->codes;
  }
  const int64_t step = vlm_ceil_div(a->rows, vlm_ceil_div(a->rows, TILE_ROWS));
  for (int64_t t = 0; t < a->rows; t += step) {
    const int64_t count = vlm_min(step, a->rows - t);
    linear_prefetch(a, w + panel, p.steps * STEP_BYTES, t, count);
    p.x = row + t * row_bytes + 2 * b->k;
    p.x_scale = row + t * row_bytes + vlm_i16_code_bytes(a->inputs) + b->k / VLM_I16_BLOCK * (int64_t)sizeof(float);
    (is_rounding ? rounding_tiles : tiles)[count - 1](&p, b->sums + t * VLM_PANEL);
  }
}

static void linear_bf16_int16(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_blocks(a, begin, end, scratch, i16_block, (linear_cut){a->rows <= VLM_LINEAR_FEW_ROWS ? 1 : LINEAR_PANELS, VLM_I16_BLOCK});
}
