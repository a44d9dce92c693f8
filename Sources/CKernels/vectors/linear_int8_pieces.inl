// Linear layers over 8-bit weights: every panel in pieces of a group's inputs, whose products with rows of int8 are summed as integers. A group
// of more inputs than a piece carries its integers in the sums from piece to piece; f32 begins where a group ends.

typedef struct {
  const char *x;           // the piece of the first row
  int64_t x_stride;        // bytes between rows
  const uint8_t *w;        // steps of four inputs of a panel
  int64_t inputs;          // a multiple of 16
  bool carries;            // whether the sums hold integers of earlier pieces of the group
  const vlm_int8_tail *tail;  // the group's scales and zeros; NULL where the group goes on
  const char *ends;        // where the first row has the group's scale and sum
  int64_t end_stride;
  bool is_first;           // whether it is the first group: the sums are to be written
  weight_stream stream;
} int8_piece;

typedef void int8_tile_fn(const int8_piece *piece, float *sums);

typedef struct {
  int8_tile_fn *const *tiles;  // [R − 1] is of R rows
  int64_t tile_rows, inputs;   // most of a tile, and of a piece
  const void *x;               // rows [rows][k_count] in the tiles' own form; NULL: as packed
  int64_t x_bytes;             // of such a number
  int64_t ahead;               // of weight_stream
} int8_plan;

// The panel and inputs of a block for all its rows.
static void int8_block(const vlm_linear_args *a, const linear_block *b, const int8_plan *plan) {
  const int64_t bytes = vlm_int8_block_bytes(a->group), row_bytes = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  const uint8_t *panel = (const uint8_t *)a->weight + b->panel * (a->inputs / a->group) * bytes;
  const char *rows = (const char *)a->packed;
  const int64_t step = vlm_ceil_div(a->rows, vlm_ceil_div(a->rows, plan->tile_rows)), end = b->k + b->k_count;
  for (int64_t k = b->k, count; k < end; k += count) {
    const int64_t group = k / a->group, offset = k % a->group;
    count = vlm_min(vlm_min(plan->inputs, a->group - offset), end - k);
    const uint8_t *block = panel + group * bytes;
    const char *packed = rows + group * vlm_i8_group_bytes(a->group);
    int8_piece p = {.w = block + offset * VLM_PANEL, .inputs = count, .carries = offset > 0, .end_stride = row_bytes, .is_first = group == 0,
                    .stream = b->stream};
    p.stream.ahead = plan->ahead;
    if (offset + count == a->group) p.tail = (const vlm_int8_tail *)(block + a->group * VLM_PANEL);
    p.x_stride = plan->x ? b->k_count * plan->x_bytes : row_bytes;
    const char *x = plan->x ? (const char *)plan->x + (k - b->k) * plan->x_bytes : packed + offset;
    for (int64_t t = 0; t < a->rows; t += step, p.stream = no_stream) {
      linear_prefetch(a, p.w + (a->inputs / a->group) * bytes, count * VLM_PANEL, t, step);
      p.x = x + t * p.x_stride;
      p.ends = packed + a->group + t * row_bytes;
      plan->tiles[vlm_min(step, a->rows - t) - 1](&p, b->sums + t * VLM_PANEL);
    }
  }
}
