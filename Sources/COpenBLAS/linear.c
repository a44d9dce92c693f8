#include "vlm_openblas.h"

#include <limits.h>
#include <string.h>

// Inputs and panels of a piece of a weight, unpacked: as deep as OpenBLAS's own blocks, and 1.3 MB in all.
enum { DEPTH = 320, WIDTH = 32 };

size_t vlm_openblas_scratch_bytes(void) { return (size_t)DEPTH * WIDTH * VLM_PANEL * sizeof(float); }

// Outputs first ..< first + count of all rows.
typedef struct {
  int64_t first, count;
} columns;

static float *row_of(const vlm_linear_args *a, columns c, int64_t t) { return a->y + t * a->y_stride + c.first; }

// What the sums are added to: bias, and the residual where no activation comes before it. Returns whether there is anything.
static bool begin_sums(const vlm_linear_args *a, columns c, vlm_isa isa) {
  const float *bias = a->bias ? a->bias + c.first : NULL;
  bool adds_residual = a->residual && a->activation == VLM_ACTIVATION_NONE;
  if (!bias && !adds_residual) return false;
  for (int64_t t = 0; t < a->rows; t++) {
    float *y = row_of(a, c, t);
    const float *residual = adds_residual ? a->residual + t * a->residual_stride + c.first : NULL;
    if (bias && residual) vlm_add(bias, residual, y, 0, c.count, isa);
    else memmove(y, bias ? bias : residual, (size_t)c.count * sizeof(float));
  }
  return true;
}

static void end_sums(const vlm_linear_args *a, columns c, vlm_isa isa) {
  if (a->activation == VLM_ACTIVATION_NONE) return;
  for (int64_t t = 0; t < a->rows; t++) {
    float *y = row_of(a, c, t);
    vlm_activate(a->activation, y, y, 0, c.count, isa);
    if (a->residual) vlm_add(y, a->residual + t * a->residual_stride + c.first, y, 0, c.count, isa);
  }
}

static bool is_supported(const vlm_linear_args *a, int64_t begin, int64_t end) {
  if (a->kind != VLM_LINEAR_F32_F32 && a->kind != VLM_LINEAR_BF16_F32) return false;
  if (a->activation != VLM_ACTIVATION_NONE && a->residual == a->y) return false;
  if (a->rows > INT_MAX || a->x_stride > INT_MAX || a->y_stride > INT_MAX) return false;
  return begin >= 0 && end <= vlm_panels(a->outputs);
}

bool vlm_openblas_linear(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch, vlm_isa isa) {
  if (!is_supported(a, begin, end) || !vlm_openblas_open()) return false;
  for (int64_t panel = begin; panel < end; panel += WIDTH) {
    int64_t last = panel + WIDTH < end ? panel + WIDTH : end, first = panel * VLM_PANEL, beyond = last * VLM_PANEL;
    columns c = {first, (beyond < a->outputs ? beyond : a->outputs) - first};
    vlm_unpack_panels_args piece = {
        .format = vlm_linear_format(a->kind), .outputs = a->outputs, .inputs = a->inputs, .packed = a->weight,
        .first = panel, .count = last - panel, .y = scratch, .y_stride = beyond - first};
    vlm_openblas_product product = {
        .m = (int)a->rows, .n = (int)c.count, .a_stride = (int)a->x_stride, .b = scratch, .b_stride = (int)(beyond - first),
        .beta = begin_sums(a, c, isa) ? 1 : 0, .c = row_of(a, c, 0), .c_stride = (int)a->y_stride};
    for (int64_t k = 0; k < a->inputs; k += DEPTH, product.beta = 1) {
      int64_t depth = a->inputs - k < DEPTH ? a->inputs - k : DEPTH;
      if (vlm_unpack_panels(&piece, k, k + depth) != VLM_OK) return false;
      product.a = a->x + k;
      product.k = (int)depth;
      vlm_openblas_multiply(&product);
    }
    end_sums(a, c, isa);
  }
  return true;
}
