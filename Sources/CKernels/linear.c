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

size_t vlm_linear_scratch_bytes(void) { return 288 << 10; }

static vlm_status check(const vlm_linear_args *a) {
  vlm_weight_format format = vlm_linear_format(a->kind);
  if (a->rows < 0 || vlm_weight_bytes(format, a->outputs, a->inputs, a->group) == 0) return VLM_BAD_SHAPE;
  if ((uint32_t)a->kind >= VLM_LINEAR_KINDS || (uint32_t)a->activation >= VLM_ACTIVATIONS) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(a->weight) || !vlm_is_aligned(a->packed)) return VLM_BAD_ALIGNMENT;
  return VLM_OK;
}

vlm_status vlm_linear(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch, vlm_isa isa) {
  vlm_status status = check(a);
  if (status != VLM_OK || begin >= end || a->rows == 0) return status;
  if (begin < 0 || end > vlm_panels(a->outputs)) return VLM_BAD_SHAPE;
  if (vlm_linear_rows(a->kind) >= 0 && !a->packed) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(scratch)) return VLM_BAD_ALIGNMENT;
  linear_tiles[linear_version(a->kind, isa)].run(a, begin, end, scratch);
  return VLM_OK;
}
