// Screening: the scores of a wide linear layer without bias from int8 weights, each with a proven bound of its distance from what
// vlm_linear computes from the bf16 panels of the same weight. Who wants the greatest outputs alone computes those panels whose outputs
// may be among them, and no others. docs/decisions/int8-head.md has the bound.
#ifndef VLM_SCREEN_H
#define VLM_SCREEN_H

#include "vlm_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// The most inputs of a layer that is screened: sums stay in i32.
enum { VLM_SCREEN_INPUTS = 1 << 16 };

// Bytes of one row as vlm_screen reads it, a multiple of 64; 0 for a number of inputs that it does not take.
size_t vlm_screen_row_bytes(int64_t inputs);

typedef struct vlm_screen_args {
  int64_t rows, inputs, outputs;
  const float *x;      // [rows, inputs], where the layer multiplies f32; else NULL
  int64_t x_stride;
  const void *packed;  // VLM_ROWS_BF16, where the layer multiplies those; else NULL
  void *coded;         // rows of vlm_screen_row_bytes each, 64-byte aligned
  const void *weight;  // VLM_WEIGHT_SCREEN of the layer's weight, 64-byte aligned
  float *y;            // [rows, outputs]: the scores
  int64_t y_stride;
  float *lower;        // [rows, panels]: below what vlm_linear makes of one of the panel's outputs
  float *upper;        // [rows, panels]: nothing that vlm_linear makes of the panel's outputs is above
  bool is_far;         // as in vlm_linear_args
} vlm_screen_args;

// Codes rows [begin, end): two digits of 7 bits for each number, a scale for the row. A row that is not finite gets bounds without end.
vlm_status vlm_screen_code(const vlm_screen_args *args, int64_t begin, int64_t end, vlm_isa isa);

// Computes scores and bounds of panels [begin, end) for all coded rows; a row's are the same bits, however many rows there are.
vlm_status vlm_screen(const vlm_screen_args *args, int64_t begin, int64_t end, vlm_isa isa);

// The name of the version that vlm_screen takes.
const char *vlm_screen_version_name(vlm_isa isa);

// The most outputs of a row that may be wanted.
enum { VLM_SCREEN_WANTED = 256 };

typedef struct vlm_screen_choice {
  int64_t rows, panels;
  const float *lower, *upper;  // of vlm_screen
  const int32_t *wanted;       // [rows]: how many of the greatest outputs, 1 ... VLM_SCREEN_WANTED; less than 1: none
  const float *reach;          // [rows] ≥ 0: outputs so far below the last of them are wanted too
  int32_t *chosen;             // [panels]
} vlm_screen_choice;

// Writes the panels that may have wanted outputs, in order, and returns their number; every other output of a row, and its score, is
// below all that are wanted. -1 for a row of which too many outputs are wanted; all panels where they are too few.
int64_t vlm_screen_choose(const vlm_screen_choice *args);

#ifdef __cplusplus
}
#endif

#endif
