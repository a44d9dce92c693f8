#include "../math_scalar.h"

#if VLM_X86_64
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c,amx-tile,amx-int8"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "tiles_amx.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "rows_amx.h"

// Fewer rows, and groups that are no whole tiles, are computed by the version without tiles, whose sums are the same.
enum { FEWEST_ROWS = VLM_TILED_ROWS, PANELS = 16, STEP_BYTES = VLM_PANEL * 4 };

// What scratch holds of a block: integer sums of a group, of two tiles of rows by two of outputs.
typedef struct {
  int32_t dots[4][TILE_ROWS][V_WIDTH];
  last_rows last;
} int8_block;
_Static_assert(sizeof(int8_block) <= LINEAR_WEIGHTS, "a block fits scratch");

// A run of inputs of one group, for all rows.
typedef struct {
  const uint8_t *w;
  int64_t k, steps;           // the first input in the block, and tiles of inputs
  int64_t group;              // in the block
  bool carries;               // whether the sums hold integers of earlier runs of the group
  const vlm_int8_tail *tail;  // the group's scales and zeros; NULL where the group goes on
  bool is_first;              // whether it is the first group
} int8_run;

// sums += scale · (x.scale · (dot − zero · x.sum)) of tile c, with every product rounded.
VLM_INLINE void add_group(const int8_run *run, const int8_block *s, const int c, const tiled_rows *rows, float *sums) {
  const v_f32 scale = v_load(run->tail->scale + c % 2 * V_WIDTH);
  const __m512i zero = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(run->tail->zero + c % 2 * V_WIDTH)));
#pragma clang loop unroll_count(4)
  for (int r = 0; r < TILE_ROWS; r++) {
    const int row = c / 2 * TILE_ROWS + r;
    const __m512i dot = _mm512_sub_epi32(_mm512_load_si512(s->dots[c][r]), _mm512_mullo_epi32(zero, _mm512_set1_epi32(rows->sums[row])));
    const v_f32 product = v_mul(v_mul(_mm512_cvtepi32_ps(dot), v_set1(rows->scales[row])), scale);
    float *sum = sums + row * VLM_PANEL + c % 2 * V_WIDTH;
    v_store(sum, v_add(run->is_first ? v_zero() : v_load(sum), product));
  }
}

// A run for rows [t, end), one or two tiles at a time.
VLM_INLINE void tiles(const vlm_linear_args *a, const linear_block *b, const int8_run *run, int64_t t, int64_t end, const bool both) {
  int8_block *s = (int8_block *)b->weights;
  const uint8_t *next = run->w + vlm_panel_bytes(VLM_WEIGHT_INT8, a->inputs, a->group);
  const int64_t depth = vlm_i8_tile_depth(a->group);
  for (; t < end; t += VLM_TILED_ROWS) {
    const tiled_rows rows = rows_at(a, t, b->k, &s->last);
    const int8_t *x = rows.x + run->k * VLM_TILED_ROWS;
    const uint8_t *w = run->w;
    float *sums = b->sums + t * VLM_PANEL;
    linear_prefetch(a, next, run->steps * depth * VLM_PANEL, t, VLM_TILED_ROWS);
    begin_sums(sums, run->carries, both);
    for (int64_t i = 0; i < run->steps; i++, x += VLM_TILED_ROWS * depth, w += depth * VLM_PANEL) {
      _tile_loadd(4, x, depth);
      _tile_loadd(6, w, STEP_BYTES);
      _tile_dpbsud(0, 4, 6);
      _tile_loadd(7, w + 64, STEP_BYTES);
      _tile_dpbsud(1, 4, 7);
      if (!both) continue;
      _tile_loadd(5, x + TILE_ROWS * depth, depth);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
    if (run->tail) {
      const tiled_rows ends = {.scales = rows.scales + run->group * VLM_TILED_ROWS, .sums = rows.sums + run->group * VLM_TILED_ROWS};
      _tile_stored(0, s->dots[0], TILE_BYTES);
      _tile_stored(1, s->dots[1], TILE_BYTES);
      if (both) _tile_stored(2, s->dots[2], TILE_BYTES);
      if (both) _tile_stored(3, s->dots[3], TILE_BYTES);
#pragma clang loop unroll(full)
      for (int c = 0; c < (both ? 4 : 2); c++) add_group(run, s, c, &ends, sums);
    } else {
      end_sums(sums, both);
    }
  }
}

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  const uint8_t *panel = (const uint8_t *)a->weight + (size_t)b->panel * vlm_panel_bytes(VLM_WEIGHT_INT8, a->inputs, a->group);
  const int64_t whole = vlm_tiled_rows(a->rows), end = a->rows - whole > TILE_ROWS ? a->rows : whole, last = b->k + b->k_count;
  if (b->is_first) copy_last_rows(a, b->k, b->k_count, &((int8_block *)b->weights)->last);
  for (int64_t k = b->k, count; k < last; k += count) {
    const int64_t group = k / a->group, offset = k % a->group;
    const uint8_t *block = panel + group * vlm_int8_block_bytes(a->group);
    count = vlm_min(a->group - offset, last - k);
    int8_run run = {.w = block + offset * VLM_PANEL, .k = k - b->k, .steps = count / vlm_i8_tile_depth(a->group), .group = group - b->k / a->group,
                    .carries = offset > 0, .is_first = group == 0};
    if (offset + count == a->group) run.tail = (const vlm_int8_tail *)(block + a->group * VLM_PANEL);
    tiles(a, b, &run, 0, end, true);
    tiles(a, b, &run, end, a->rows, false);
  }
}

void vlm_linear_int8_int8_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch);

void vlm_linear_int8_int8_32x32_amx(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows < FEWEST_ROWS || !vlm_i8_has_tiles(a->group)) return vlm_linear_int8_int8_12x32_avx512vnni(a, begin, end, scratch);
  tiles_begin(vlm_i8_tile_depth(a->group), TILE_ROWS, TILE_ROWS);
  linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){PANELS, TILED_INPUTS});
  _tile_release();
}
#pragma clang attribute pop
#endif
