// Packed int8 rows as tiles. Whole groups of VLM_TILED_ROWS rows lie so; those behind them are copied, a block of inputs at a time.

enum { TILED_INPUTS = 512 };  // of a block

// Two tiles of rows.
typedef struct {
  const int8_t *x;      // [inputs/depth][VLM_TILED_ROWS][depth]
  const float *scales;  // [inputs/group][VLM_TILED_ROWS]
  const int32_t *sums;  // the same
} tiled_rows;

// Room for the last rows; what is behind them is not used.
typedef struct {
  int8_t x[VLM_TILED_ROWS * TILED_INPUTS];
  float scales[TILED_INPUTS / 32][VLM_TILED_ROWS];
  int32_t sums[TILED_INPUTS / 32][VLM_TILED_ROWS];
} last_rows;

// Copies inputs [k, k + count) of the last rows.
static void copy_last_rows(const vlm_linear_args *a, int64_t k, int64_t count, last_rows *last) {
  const int64_t stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group), step = vlm_i8_group_bytes(a->group), depth = vlm_i8_tile_depth(a->group);
  for (int64_t t = vlm_tiled_rows(a->rows), r = 0; t < a->rows; t++, r++) {
    const char *row = (const char *)a->packed + t * stride;
    for (int64_t i = 0; i < count; i += depth) {
      const int64_t group = (k + i) / a->group;
      __builtin_memcpy(last->x + (i * VLM_TILED_ROWS + r * depth), row + group * step + (k + i) % a->group, (size_t)depth);
      const vlm_i8_tail tail = vlm_i8_tail_at(row + group * step + a->group);
      last->scales[group - k / a->group][r] = tail.scale;
      last->sums[group - k / a->group][r] = tail.sum;
    }
  }
}

// The rows from t on, a multiple of VLM_TILED_ROWS, and the inputs of a block that begins with k.
static inline tiled_rows rows_at(const vlm_linear_args *a, int64_t t, int64_t k, const last_rows *last) {
  if (t >= vlm_tiled_rows(a->rows)) return (tiled_rows){last->x, last->scales[0], last->sums[0]};
  const int8_t *codes = (const int8_t *)a->packed + t * (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  const float *scales = (const float *)(codes + VLM_TILED_ROWS * a->inputs);
  const int64_t groups = a->inputs / a->group, first = k / a->group * VLM_TILED_ROWS;
  return (tiled_rows){codes + k * VLM_TILED_ROWS, scales + first, (const int32_t *)scales + groups * VLM_TILED_ROWS + first};
}
