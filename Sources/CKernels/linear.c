#include "internal.h"

#define VLM_LINEAR_TILE(kind, features, function) vlm_linear_fn function;
#include "linear_tiles.inl"
#undef VLM_LINEAR_TILE

static const struct { vlm_linear_kind kind; vlm_isa features; vlm_linear_fn *run; const char *name; } linear_tiles[] = {
#define VLM_LINEAR_TILE(kind, features, function) {VLM_LINEAR_##kind, features, function, #function},
#include "linear_tiles.inl"
#undef VLM_LINEAR_TILE
};

// The index of the tile that the dispatcher takes for a valid kind.
static size_t linear_version(vlm_linear_kind kind, vlm_isa isa) {
  size_t best = 0;
  for (size_t i = 0; i < sizeof linear_tiles / sizeof *linear_tiles; i++)
    if (linear_tiles[i].kind == kind && vlm_has(isa, linear_tiles[i].features)) best = i;
  return best;
}

const char *vlm_linear_version_name(vlm_linear_kind kind, vlm_isa isa) {
  return (uint32_t)kind < VLM_LINEAR_KINDS ? linear_tiles[linear_version(kind, isa)].name : NULL;
}

vlm_weight_format vlm_linear_format(vlm_linear_kind kind) {
  switch (kind) {
    case VLM_LINEAR_BF16_F32: case VLM_LINEAR_BF16_BF16: case VLM_LINEAR_BF16_INT16: return VLM_WEIGHT_BF16;
    case VLM_LINEAR_F32_F32: return VLM_WEIGHT_F32;
    case VLM_LINEAR_INT4_F32: case VLM_LINEAR_INT4_INT8: return VLM_WEIGHT_INT4;
    case VLM_LINEAR_INT8_F32: case VLM_LINEAR_INT8_INT8: return VLM_WEIGHT_INT8;
    case VLM_LINEAR_F8_F32: case VLM_LINEAR_F8_BF16: return VLM_WEIGHT_F8;
    case VLM_LINEAR_F4_F32: case VLM_LINEAR_F4_INT8: return VLM_WEIGHT_F4;
  }
  return VLM_WEIGHT_F32;
}

int vlm_linear_rows(vlm_linear_kind kind) {
  switch (kind) {
    case VLM_LINEAR_BF16_BF16: case VLM_LINEAR_F8_BF16: return VLM_ROWS_BF16;
    case VLM_LINEAR_INT4_INT8: case VLM_LINEAR_INT8_INT8: return VLM_ROWS_INT8;
    case VLM_LINEAR_F4_INT8: return VLM_ROWS_INT8_BLOCKS;
    case VLM_LINEAR_BF16_INT16: return VLM_ROWS_INT16_BLOCKS;
    case VLM_LINEAR_BF16_F32: case VLM_LINEAR_F32_F32: case VLM_LINEAR_INT4_F32: case VLM_LINEAR_F8_F32: case VLM_LINEAR_F4_F32:
    case VLM_LINEAR_INT8_F32:
      return -1;
  }
  return -1;
}

// Scratch of a tile: weights, and sums of up to 16 panels. Behind it is what a gated layer's halves are before they are one: of the most rows eight panels, of
// fewer rows more.
enum { TILE_SCRATCH = (64 << 10) + VLM_LINEAR_ROWS_AMX * 16 * VLM_PANEL * 4, GATED_FLOATS = VLM_LINEAR_ROWS_AMX * 2 * 8 * VLM_PANEL };

size_t vlm_linear_scratch_bytes(void) { return TILE_SCRATCH + GATED_FLOATS * sizeof(float); }

static vlm_status check(const vlm_linear_args *a) {
  vlm_weight_format format = vlm_linear_format(a->kind);
  if (a->rows < 0 || vlm_weight_bytes(format, a->outputs, a->inputs, a->group) == 0) return VLM_BAD_SHAPE;
  if ((uint32_t)a->kind >= VLM_LINEAR_KINDS || (uint32_t)a->activation >= VLM_ACTIVATIONS) return VLM_BAD_SHAPE;
  if (a->is_gated && (a->outputs % (2 * VLM_PANEL) != 0 || a->residual)) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(a->weight) || !vlm_is_aligned(a->packed)) return VLM_BAD_ALIGNMENT;
  return VLM_OK;
}

// One half of panels [first, first + count) of a gated layer, to y.
static void half(const vlm_linear_args *a, int64_t first, int64_t count, float *y, void *scratch, vlm_linear_fn *run) {
  vlm_linear_args part = *a;
  part.activation = VLM_ACTIVATION_NONE;
  part.is_gated = false;
  part.outputs = count * VLM_PANEL;
  part.weight = (const char *)a->weight + (size_t)first * vlm_panel_bytes(vlm_linear_format(a->kind), a->inputs, a->group);
  if (a->bias) part.bias = a->bias + first * VLM_PANEL;
  part.y = y;
  part.y_stride = 2 * part.outputs;
  run(&part, 0, count, scratch);
}

// The halves stay in the second cache until they are one.
static void gated(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch, vlm_linear_fn *run, vlm_isa isa) {
  float *halves = (float *)((char *)scratch + TILE_SCRATCH);
  const int64_t panels = GATED_FLOATS / (2 * VLM_PANEL * a->rows);
  for (int64_t first = begin; first < end; first += panels) {
    const int64_t count = vlm_min(panels, end - first), width = count * VLM_PANEL;
    half(a, first, count, halves, scratch, run);
    half(a, vlm_panels(a->outputs) / 2 + first, count, halves + width, scratch, run);
    const vlm_gated_args gate = {.activation = a->activation, .columns = width, .x = halves, .x_stride = 2 * width,
                                 .y = a->y + first * VLM_PANEL, .y_stride = a->y_stride};
    vlm_gated(&gate, 0, a->rows, isa);
  }
}

static int64_t panels_of(const vlm_linear_args *a) { return vlm_panels(a->outputs) / (a->is_gated ? 2 : 1); }

// Rows of a part: all, or of many as even shares as whole tiles make.
static int64_t item_rows(const vlm_linear_args *a, vlm_isa isa) {
  enum { TILE = 12, TILE_AMX = 32 };
  _Static_assert(VLM_LINEAR_ROWS % TILE == 0 && VLM_LINEAR_ROWS_AMX % TILE_AMX == 0, "even shares are not too large");
  const bool amx = vlm_has(isa, VLM_FEATURES_AMX);
  const int64_t tile = amx ? TILE_AMX : TILE, parts = vlm_ceil_div(a->rows, amx ? VLM_LINEAR_ROWS_AMX : VLM_LINEAR_ROWS);
  return parts > 1 ? vlm_ceil_div(vlm_ceil_div(a->rows, parts), tile) * tile : a->rows;
}

int64_t vlm_linear_items(const vlm_linear_args *a, vlm_isa isa) {
  return a->rows > 0 ? panels_of(a) * vlm_ceil_div(a->rows, item_rows(a, isa)) : 0;
}

// A layer of the rows [row, row + rows) alone.
static vlm_linear_args rows_of(const vlm_linear_args *a, int64_t row, int64_t rows) {
  vlm_linear_args part = *a;
  part.rows = rows;
  const int format = vlm_linear_rows(a->kind);
  if (format >= 0) part.packed = (const char *)a->packed + (size_t)row * vlm_row_bytes((vlm_row_format)format, a->inputs, a->group);
  else part.x = a->x + row * a->x_stride;
  part.y = a->y + row * a->y_stride;
  if (a->residual) part.residual = a->residual + row * a->residual_stride;
  return part;
}

vlm_status vlm_linear(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch, vlm_isa isa) {
  vlm_status status = check(a);
  if (status != VLM_OK || begin >= end || a->rows == 0) return status;
  if (begin < 0 || end > vlm_linear_items(a, isa)) return VLM_BAD_SHAPE;
  if (vlm_linear_rows(a->kind) >= 0 && !a->packed) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(scratch)) return VLM_BAD_ALIGNMENT;
  vlm_linear_fn *run = linear_tiles[linear_version(a->kind, isa)].run;
  const int64_t panels = panels_of(a), rows = item_rows(a, isa);
  for (int64_t i = begin, last; i < end; i = last) {
    const int64_t row = i / panels * rows, first = i % panels;
    last = vlm_min(end, i - first + panels);
    const vlm_linear_args part = rows_of(a, row, vlm_min(rows, a->rows - row));
    if (a->is_gated) gated(&part, first, first + last - i, scratch, run, isa);
    else run(&part, first, first + last - i, scratch);
  }
  return VLM_OK;
}
