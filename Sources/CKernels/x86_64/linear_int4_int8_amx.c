#include "../math_scalar.h"

#if VLM_X86_64
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c,amx-tile,amx-int8"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "tiles_amx.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "rows_amx.h"

// Up to STREAMED_ROWS take tiles as rows lie, from FEWEST_ROWS on and in groups of 128. What is left is computed by the version without tiles, whose sums
// are the same.
enum { FEWEST_ROWS = 9, STREAMED_ROWS = VLM_TILED_ROWS - 1, STREAMED_GROUP = 128, PANELS = 16, STEP_BYTES = VLM_PANEL * 4 };

// What scratch holds of a block: weights as s8 [inputs/4][VLM_PANEL][4], each code − zero, and their scales; integer sums of a group, of two tiles of
// rows by two of outputs.
typedef struct {
  int8_t weights[TILED_INPUTS * VLM_PANEL];
  int32_t dots[4][TILE_ROWS][V_WIDTH];
  float scales[TILED_INPUTS / 32][VLM_PANEL];
  last_rows last;
} int4_block;
_Static_assert(sizeof(int4_block) <= LINEAR_WEIGHTS, "a block fits scratch");

static inline const uint16_t *block_scales(const uint8_t *block, int64_t group) { return (const uint16_t *)(block + group * VLM_PANEL / 2); }

// Of the group at `block`; of weights that are streamed asks for those to come.
VLM_INLINE void split_group(const uint8_t *block, int64_t group, int8_t *y, float *scale, const weight_stream *stream) {
  const __m512i low = _mm512_set1_epi8(15);
  __m512i shift[2];
  for (int n = 0; n < 2; n++) {
    const uint16_t *scales = block_scales(block, group) + 16 * n;
    v_store(scale + 16 * n, v_from_f16(scales));
    shift[n] = _mm512_mullo_epi32(_mm512_cvtps_epi32(v_from_f16(scales + VLM_PANEL)), _mm512_set1_epi32(0x01010101));
  }
  if (stream) stream_ahead(block_scales(block, group), stream, true);
  for (int64_t step = 0; step < group; step += 32)
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++, y += 2 * STEP_BYTES) {
      if (stream) stream_part(block + step * (VLM_PANEL / 2), i, stream, true);
      for (int n = 0; n < 2; n++) {
        const __m512i codes = _mm512_loadu_si512(block + (step + 8 * i) * (VLM_PANEL / 2) + 64 * n);
        _mm512_store_si512(y + 64 * n, _mm512_sub_epi8(_mm512_and_si512(codes, low), shift[n]));
        _mm512_store_si512(y + STEP_BYTES + 64 * n, _mm512_sub_epi8(_mm512_and_si512(_mm512_srli_epi16(codes, 4), low), shift[n]));
      }
    }
}

// Of some groups from `block` on.
static void split_weights(const vlm_linear_args *a, const uint8_t *block, int64_t groups, int4_block *s) {
  int8_t *y = s->weights;
  for (int64_t g = 0; g < groups; g++, block += vlm_int4_block_bytes(a->group), y += a->group * VLM_PANEL) split_group(block, a->group, y, s->scales[g], NULL);
}

// Where the sums of a group's products go.
typedef struct {
  const float *scales, *x_scales;
  float *sums;
} destination;

// sums += scale · x.scale · dot of `rows` rows of tile c, from row r on.
VLM_INLINE void add_rows(const int4_block *s, const destination *to, const int c, const int r, const int rows) {
  const v_f32 scale = v_load(to->scales + c % 2 * 16);
#pragma clang loop unroll(full)
  for (int i = r; i < r + rows; i++) {
    float *sum = to->sums + (c / 2 * TILE_ROWS + i) * VLM_PANEL + c % 2 * 16;
    const v_f32 product = v_mul(_mm512_cvtepi32_ps(_mm512_load_si512(s->dots[c][i])), v_set1(to->x_scales[c / 2 * TILE_ROWS + i]));
    v_store(sum, v_fma(scale, product, v_load(sum)));
  }
}

// Where the rows of a group's tiles are: bytes between rows, and between the tiles of two steps.
typedef struct {
  const int8_t *x;
  int64_t stride, step;
} group_rows;

// Products of one or two tiles of rows over a group, in steps of `depth` inputs. Between them, since tiles and vectors compute at the same time where their
// instructions take turns, the sums of the group before get theirs.
VLM_INLINE void multiply(int4_block *s, group_rows from, const int8_t *w, const destination *before, const int64_t depth, const int64_t group,
                         const bool both) {
  const int rows = TILE_ROWS / (int)(group / depth);
  const int8_t *x = from.x;
  _tile_zero(0);
  _tile_zero(1);
  if (both) {
    _tile_zero(2);
    _tile_zero(3);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < group / depth; i++, x += from.step, w += depth * VLM_PANEL) {
    _tile_loadd(4, x, from.stride);
    _tile_loadd(6, w, STEP_BYTES);
    _tile_dpbssd(0, 4, 6);
    if (before) add_rows(s, before, 0, i * rows, rows);
    _tile_loadd(7, w + 64, STEP_BYTES);
    _tile_dpbssd(1, 4, 7);
    if (before) add_rows(s, before, 1, i * rows, rows);
    if (!both) continue;
    _tile_loadd(5, x + TILE_ROWS * from.stride, from.stride);
    _tile_dpbssd(2, 5, 6);
    if (before) add_rows(s, before, 2, i * rows, rows);
    _tile_dpbssd(3, 5, 7);
    if (before) add_rows(s, before, 3, i * rows, rows);
  }
  // Behind the stores of sums, which would wait in order for the tiles.
  _tile_stored(0, s->dots[0], 64);
  _tile_stored(1, s->dots[1], 64);
  if (!both) return;
  _tile_stored(2, s->dots[2], 64);
  _tile_stored(3, s->dots[3], 64);
}

// Rows [t, end) of a block, one or two tiles at a time.
VLM_INLINE void tiles(const vlm_linear_args *a, const linear_block *b, int4_block *s, int64_t t, int64_t end, const int64_t depth, const int64_t group,
                      const bool both) {
  const int64_t groups = b->k_count / group, bytes = (int64_t)vlm_int4_block_bytes(group);
  const uint8_t *next = (const uint8_t *)a->weight + vlm_panel_bytes(VLM_WEIGHT_INT4, a->inputs, group) * (size_t)(b->panel + 1) + b->k / group * bytes;
  destination before = {0};
  for (; t < end; t += VLM_TILED_ROWS) {
    const tiled_rows rows = rows_at(a, t, b->k, &s->last);
    linear_prefetch(a, next, bytes * groups, t, VLM_TILED_ROWS);
    for (int64_t g = 0; g < groups; g++) {
      const group_rows from = {rows.x + g * group * VLM_TILED_ROWS, depth, VLM_TILED_ROWS * depth};
      const int8_t *w = s->weights + g * group * VLM_PANEL;
      if (before.sums) multiply(s, from, w, &before, depth, group, both);
      else multiply(s, from, w, NULL, depth, group, both);
      before = (destination){s->scales[g], rows.scales + g * VLM_TILED_ROWS, b->sums + t * VLM_PANEL};
    }
  }
  for (int c = 0; before.sums && c < (both ? 4 : 2); c++) add_rows(s, &before, c, 0, TILE_ROWS);
}

#define DEFINE(NAME, DEPTH, GROUP) \
  static __attribute__((noinline)) void NAME(const vlm_linear_args *a, const linear_block *b, int4_block *s) { \
    const int64_t whole = vlm_tiled_rows(a->rows), end = a->rows - whole > TILE_ROWS ? a->rows : whole; \
    tiles(a, b, s, 0, end, DEPTH, GROUP, true); \
    tiles(a, b, s, end, a->rows, DEPTH, GROUP, false); \
  }
DEFINE(tiles_32, 32, 32)
DEFINE(tiles_64, 64, 64)
DEFINE(tiles_128, 64, 128)
#undef DEFINE

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  int4_block *s = (int4_block *)b->weights;
  const uint8_t *panel = (const uint8_t *)a->weight + (size_t)b->panel * vlm_panel_bytes(VLM_WEIGHT_INT4, a->inputs, a->group);
  if (b->is_first) copy_last_rows(a, b->k, b->k_count, &s->last);
  if (!b->accumulate) __builtin_memset(b->sums, 0, (size_t)(vlm_ceil_div(a->rows, LINEAR_TILE) * LINEAR_TILE * VLM_PANEL) * sizeof(float));
  split_weights(a, panel + b->k / a->group * (int64_t)vlm_int4_block_bytes(a->group), b->k_count / a->group, s);
  (a->group == 128 ? tiles_128 : a->group == 64 ? tiles_64 : tiles_32)(a, b, s);
}

// A panel that comes from memory: the next group is split before the products of this one, whose tiles would wait for its stores, and the sums of the one
// before are added between them.
VLM_INLINE void stream_panel(const vlm_linear_args *a, const linear_block *b, const bool both) {
  enum { GROUP = STREAMED_GROUP, GROUP_BYTES = GROUP * VLM_PANEL, SCALES = 4 };
  int4_block *s = (int4_block *)b->weights;
  const int64_t stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, GROUP), groups = a->inputs / GROUP, bytes = (int64_t)vlm_int4_block_bytes(GROUP);
  const uint8_t *codes = (const uint8_t *)a->weight + b->panel * groups * bytes;
  const char *x = a->packed;
  destination before = {0};
  __builtin_memset(b->sums, 0, (both ? 2 : 1) * TILE_ROWS * VLM_PANEL * sizeof(float));
  split_group(codes, GROUP, s->weights, s->scales[0], &b->stream);
  for (int64_t g = 0; g < groups; g++, x += vlm_i8_group_bytes(GROUP)) {
    codes += bytes;
    if (g + 1 < groups) split_group(codes, GROUP, s->weights + (g + 1) % 2 * GROUP_BYTES, s->scales[(g + 1) % SCALES], &b->stream);
    float *x_scales = s->last.scales[g % 2];
    for (int64_t r = 0; r < a->rows; r++) x_scales[r] = vlm_i8_tail_at(x + r * stride + GROUP).scale;
    const group_rows from = {(const int8_t *)x, stride, TILE_BYTES};
    const int8_t *w = s->weights + g % 2 * GROUP_BYTES;
    if (before.sums) multiply(s, from, w, &before, TILE_BYTES, GROUP, both);
    else multiply(s, from, w, NULL, TILE_BYTES, GROUP, both);
    before = (destination){s->scales[g % SCALES], x_scales, b->sums};
  }
  for (int c = 0; c < (both ? 4 : 2); c++) add_rows(s, &before, c, 0, TILE_ROWS);
}

static void stream_block(const vlm_linear_args *a, const linear_block *b) {
  if (a->rows <= TILE_ROWS) stream_panel(a, b, false);
  else stream_panel(a, b, true);
}

void vlm_linear_int4_int8_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch);

void vlm_linear_int4_int8_32x32_amx(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  const bool streams = a->rows <= STREAMED_ROWS;
  if (streams && (a->rows < FEWEST_ROWS || a->group != STREAMED_GROUP)) return vlm_linear_int4_int8_12x32_avx512vnni(a, begin, end, scratch);
  if (streams) {
    tiles_begin(TILE_BYTES, vlm_min(a->rows, TILE_ROWS), vlm_max(1, a->rows - TILE_ROWS));
    linear_blocks(a, begin, end, scratch, stream_block, (linear_cut){1, a->inputs});
  } else {
    tiles_begin(vlm_min(a->group, TILE_BYTES), TILE_ROWS, TILE_ROWS);
    linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){PANELS, TILED_INPUTS});
  }
  _tile_release();
}
#pragma clang attribute pop
#endif
