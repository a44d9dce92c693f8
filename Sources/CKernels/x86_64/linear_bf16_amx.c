#include "../math_scalar.h"

#if VLM_X86_64
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c,amx-tile,amx-bf16"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "tiles_amx.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/linear_thin.inl"
#include "../vectors/linear_floats.inl"
#include "pairs_f8_avx512bf16.h"

// Inputs of a tile, and of a block, a multiple of every group of F8.
enum { DEPTH = 32, INPUTS = 256, PANELS = 16, PAIR_BYTES = VLM_PANEL * 4, TILE_PAIRS = DEPTH / 2 * VLM_PANEL };

// What scratch holds of a block: weights as pairs where they are not packed so, or of the panel's last inputs where they are no whole tile, zeros behind
// them; and the rows behind the last VLM_TILED_ROWS, in the order of those.
typedef struct {
  uint32_t w[INPUTS / 2 * VLM_PANEL];
  uint16_t x[VLM_TILED_ROWS * INPUTS];
} bf16_block;
_Static_assert(sizeof(bf16_block) <= LINEAR_WEIGHTS, "a block fits scratch");

// A block's pairs: `whole` tiles of them, and the last of scratch.
typedef struct {
  const uint32_t *w;
  int64_t steps, whole;
} block_weights;

static const uint32_t *panel_pairs(const vlm_linear_args *a, const linear_block *b) {
  return (const uint32_t *)a->weight + (b->panel * vlm_ceil_div(a->inputs, 2) + b->k / 2) * VLM_PANEL;
}

static block_weights weights_of(const vlm_linear_args *a, const linear_block *b, bf16_block *s, const bool is_f8) {
  block_weights weights = {.steps = vlm_ceil_div(b->k_count, DEPTH), .whole = b->k_count / DEPTH};
  const int64_t left = b->k_count % DEPTH;
  uint32_t *zeros = s->w;
  weights.w = s->w;
  if (is_f8) {
    f8_inputs inputs = f8_inputs_at(f8_blocks(a, b->panel, b->k), b->k_count, a->group);
    zeros = unpack_f8(&inputs, b->k_count, s->w);
    weights.whole = weights.steps;
  } else {
    weights.w = panel_pairs(a, b);
    for (int64_t i = 0; left > 0 && i < vlm_ceil_div(left, 2); i++, zeros += VLM_PANEL)
      __builtin_memcpy(zeros, weights.w + weights.whole * TILE_PAIRS + i * VLM_PANEL, PAIR_BYTES);
  }
  if (left > 0) __builtin_memset(zeros, 0, (size_t)((DEPTH - left) / 2 * PAIR_BYTES));
  return weights;
}

// Two tiles of outputs for one or two of rows.
VLM_INLINE void multiply(const uint16_t *x0, const uint16_t *x1, int64_t x_stride, const void *w, const bool both) {
  _tile_loadd(4, x0, x_stride);
  _tile_loadd(6, w, PAIR_BYTES);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, (const char *)w + 64, PAIR_BYTES);
  _tile_dpbf16ps(1, 4, 7);
  if (!both) return;
  _tile_loadd(5, x1, x_stride);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

// Few rows: the panel comes from memory, and tiles have as many rows as there are.
VLM_INLINE void thin(const vlm_linear_args *a, const linear_block *b, const bool both) {
  bf16_block *s = (bf16_block *)b->weights;
  const block_weights weights = weights_of(a, b, s, false);
  const int64_t stride = vlm_bf16_row(a->inputs);
  const uint16_t *x = (const uint16_t *)a->packed + b->k;
  begin_sums(b->sums, b->accumulate, both);
  for (int64_t i = 0; i < weights.whole; i++) {
    const uint32_t *w = weights.w + i * TILE_PAIRS;
#pragma clang loop unroll(full)
    for (int at = 0; at < TILE_PAIRS * 4; at += FAR_PART)
      stream_part((const char *)w + at / FAR_TURN * FAR_TURN, at % FAR_TURN / FAR_PART, &b->stream, true);
    multiply(x + i * DEPTH, x + i * DEPTH + TILE_ROWS * stride, 2 * stride, w, both);
  }
  for (int64_t i = weights.whole; i < weights.steps; i++) multiply(x + i * DEPTH, x + i * DEPTH + TILE_ROWS * stride, 2 * stride, s->w, both);
  end_sums(b->sums, both);
}

// The next tile's inputs, zeros behind them.
VLM_INLINE void unpack_tile(f8_inputs *inputs, uint32_t *w) {
  if (inputs->count == 0) return;
  for (uint32_t *end = unpack_f8(inputs, DEPTH, w); end < w + TILE_PAIRS; end += V_WIDTH) _mm512_storeu_si512(end, _mm512_setzero_si512());
}

// The same of F8: some tiles are unpacked ahead of the one that is multiplied, which takes other parts of the core.
VLM_INLINE void thin_f8_rows(const vlm_linear_args *a, const linear_block *b, const bool both) {
  enum { AHEAD = 2, TILES = AHEAD + 1 };
  uint32_t *const w = ((bf16_block *)b->weights)->w;
  const int64_t stride = vlm_bf16_row(a->inputs);
  const uint16_t *x = (const uint16_t *)a->packed;
  f8_inputs inputs = f8_inputs_at(f8_blocks(a, b->panel, 0), a->inputs, a->group);
  const char *asked = b->stream.begin + vlm_ceil_div((const char *)inputs.codes - b->stream.begin, FAR_TURN) * FAR_TURN;
  begin_sums(b->sums, false, both);
  for (int i = 0; i < AHEAD; i++) unpack_tile(&inputs, w + i * TILE_PAIRS);
  for (int64_t i = 0, at = 0, next = AHEAD; i < a->inputs; i += DEPTH, at = (at + 1) % TILES, next = (next + 1) % TILES) {
    for (; asked < (const char *)inputs.codes; asked += FAR_TURN)
      for (int part = 0; part < FAR_PARTS; part++) stream_part(asked, part, &b->stream, true);
    unpack_tile(&inputs, w + next * TILE_PAIRS);
    multiply(x + i, x + i + TILE_ROWS * stride, 2 * stride, w + at * TILE_PAIRS, both);
  }
  end_sums(b->sums, both);
}

// The rows behind the last whole tiles, as those lie; what is behind them is not used.
static void copy_last_rows(const vlm_linear_args *a, const linear_block *b, uint16_t *y) {
  const int64_t stride = vlm_bf16_row(a->inputs), steps = vlm_ceil_div(b->k_count, DEPTH);
  for (int64_t t = vlm_tiled_rows(a->rows), r = 0; t < a->rows; t++, r++)
    for (int64_t i = 0; i < steps; i++)
      _mm512_storeu_si512(y + (i * VLM_TILED_ROWS + r) * DEPTH, _mm512_loadu_si512((const uint16_t *)a->packed + t * stride + b->k + i * DEPTH));
}

// Rows [t, end) of a block, one or two tiles at a time.
VLM_INLINE void tall(const vlm_linear_args *a, const linear_block *b, const block_weights *weights, const void *next, int64_t bytes, int64_t t, int64_t end,
                     const bool both) {
  const bf16_block *s = (const bf16_block *)b->weights;
  const int64_t tile = TILE_ROWS * DEPTH, step = VLM_TILED_ROWS * DEPTH;
  for (; t < end; t += VLM_TILED_ROWS) {
    const uint16_t *x = t < vlm_tiled_rows(a->rows) ? (const uint16_t *)a->packed + t * vlm_bf16_row(a->inputs) + b->k * VLM_TILED_ROWS : s->x;
    linear_prefetch(a, next, bytes, t, VLM_TILED_ROWS);
    begin_sums(b->sums + t * VLM_PANEL, b->accumulate, both);
    for (int64_t i = 0; i < weights->whole; i++) multiply(x + i * step, x + i * step + tile, TILE_BYTES, weights->w + i * TILE_PAIRS, both);
    for (int64_t i = weights->whole; i < weights->steps; i++) multiply(x + i * step, x + i * step + tile, TILE_BYTES, s->w, both);
    end_sums(b->sums + t * VLM_PANEL, both);
  }
}

VLM_INLINE void tall_block(const vlm_linear_args *a, const linear_block *b, const bool is_f8) {
  bf16_block *s = (bf16_block *)b->weights;
  const block_weights weights = weights_of(a, b, s, is_f8);
  const int64_t whole = vlm_tiled_rows(a->rows), end = a->rows - whole > TILE_ROWS ? a->rows : whole;
  const char *w = is_f8 ? (const char *)f8_blocks(a, b->panel, b->k) : (const char *)weights.w;
  const int64_t bytes = is_f8 ? vlm_ceil_div(b->k_count, a->group) * vlm_f8_block_bytes(a->group) : b->k_count / 2 * PAIR_BYTES;
  const void *next = w + vlm_panel_bytes(vlm_linear_format(a->kind), a->inputs, a->group);
  if (b->is_first) copy_last_rows(a, b, s->x);
  tall(a, b, &weights, next, bytes, 0, end, true);
  tall(a, b, &weights, next, bytes, end, a->rows, false);
}

static void thin_bf16(const vlm_linear_args *a, const linear_block *b) {
  if (a->rows > TILE_ROWS) thin(a, b, true);
  else thin(a, b, false);
}

static void thin_f8(const vlm_linear_args *a, const linear_block *b) {
  if (a->rows > TILE_ROWS) thin_f8_rows(a, b, true);
  else thin_f8_rows(a, b, false);
}

static void tall_bf16(const vlm_linear_args *a, const linear_block *b) { tall_block(a, b, false); }
static void tall_f8(const vlm_linear_args *a, const linear_block *b) { tall_block(a, b, true); }

// A row has the same sums either way: a tile's products of DEPTH inputs, in order.
static void run(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch, linear_block_fn *thin_block, int64_t thin_inputs,
                linear_block_fn *tall_block) {
  if (a->rows < VLM_TILED_ROWS) {
    tiles_begin(TILE_BYTES, vlm_min(a->rows, TILE_ROWS), vlm_max(1, a->rows - TILE_ROWS));
    linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, thin_inputs});
  } else {
    tiles_begin(TILE_BYTES, TILE_ROWS, TILE_ROWS);
    linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){PANELS, INPUTS});
  }
  _tile_release();
}

void vlm_linear_bf16_bf16_32x32_amx(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  run(a, begin, end, scratch, thin_bf16, INPUTS, tall_bf16);
}

void vlm_linear_f8_bf16_32x32_amx(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  run(a, begin, end, scratch, thin_f8, a->inputs, tall_f8);
}
#pragma clang attribute pop
#endif
