// Shared by the versions of screening.
#ifndef VLM_SCREEN_INTERNAL_H
#define VLM_SCREEN_INTERNAL_H

#include "internal.h"
#include "vlm_screen.h"

enum {
  VLM_SCREEN_CENTRE = 128,           // a weight q is stored as q + 128
  VLM_SCREEN_DIGIT_BITS = 7,         // of a row's numbers: two digits of −64 ... 63, so that two products with weights fit in 16 bits
  VLM_SCREEN_DIGIT = 1 << VLM_SCREEN_DIGIT_BITS,
  VLM_SCREEN_STEP = VLM_PANEL * 4,   // bytes of four inputs of a panel
  VLM_SCREEN_TAIL = VLM_PANEL * 3 * 4,
};

// What stands before the numbers of a coded row, in 64 bytes. The numbers follow: for each four inputs the high digits, then the low ones;
// x ≈ scale · (VLM_SCREEN_DIGIT · high + low).
typedef struct {
  float scale;
  float error_of_weight;  // what ‖w − ŵ‖ counts for in a bound
  float norm_of_weight;   // what ‖ŵ‖ counts for
  float floor;            // what every bound has
  int32_t high_sum, low_sum;
} vlm_screen_head;

// The tail of a panel behind its numbers: VLM_PANEL each of f32 scales, ‖w − ŵ‖ and ‖ŵ‖, the latter two rounded up.
typedef struct {
  float scale[VLM_PANEL], error[VLM_PANEL], norm[VLM_PANEL];
} vlm_screen_tail;

static inline int64_t vlm_screen_steps(int64_t inputs) { return vlm_ceil_div(inputs, 4); }
static inline int64_t vlm_screen_panel_bytes(int64_t inputs) { return vlm_screen_steps(inputs) * VLM_SCREEN_STEP + VLM_SCREEN_TAIL; }
static inline int64_t vlm_screen_row_stride(int64_t inputs) { return 64 + (int64_t)vlm_align64((size_t)vlm_screen_steps(inputs) * 8); }

typedef void vlm_screen_fn(const vlm_screen_args *args, int64_t begin, int64_t end);

// One output of a packed weight: codes and tail at `lane` of its panel.
void vlm_screen_pack_output(void *panel, int64_t lane, vlm_dtype type, const void *row, int64_t inputs);

#endif
