// What adapters add to linear layers (LoRA); the charter of `vlm_kernels.h` holds. A call is of one row, whose result depends on nothing
// else: not on other rows, nor on how ranks and columns are shared out.
#ifndef VLM_ADAPTERS_H
#define VLM_ADAPTERS_H

#include "vlm_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// An adapter's share in one layer; of rank 0 it changes nothing.
typedef struct vlm_adapter {
  int64_t rank;
  const float *down;  // A: [rank, inputs]
  const float *up;    // Bᵀ with the scale: [rank, outputs]
} vlm_adapter;

// h[j] = Σ_i down[j, i] · x[i] for j in [begin, end), at most the rank: within (inputs + 16) · 2⁻²³ of the sum of magnitudes.
vlm_status vlm_adapter_down(
    const vlm_adapter *adapter, const float *x, int64_t inputs, int64_t begin, int64_t end, float *h, vlm_isa isa);

// y[o] += Σ_j h[j] · up[j, o] for o in [begin, end), at most `outputs`, the terms in their order.
vlm_status vlm_adapter_up(
    const vlm_adapter *adapter, const float *h, int64_t outputs, int64_t begin, int64_t end, float *y, vlm_isa isa);

#ifdef __cplusplus
}
#endif
#endif
