// Kernels that read the rows of a sequence one after another and keep a state for each sequence; the charter of `vlm_kernels.h`
// holds. An item is a channel or a head, whose rows one call computes in order, so that splitting changes nothing.
#ifndef VLM_RECURRENCE_H
#define VLM_RECURRENCE_H

#include "vlm_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// The sequences that rows belong to. Rows of one sequence have the same slot and follow each other in their order, others between
// them or not.
typedef struct vlm_sequences {
  int64_t rows;
  float *state;             // [count, what the kernel keeps for a sequence]
  int64_t count;            // slots that there are
  const int32_t *slots;     // [rows]: where the row's sequence keeps its state; negative: y is 0, no state is touched
  const int32_t *ordinals;  // [rows]: the row's place in its sequence; at 0 the state is zeros before the row
} vlm_sequences;

// y[t, c] = Σ_j weight[c, j] · x[t − (taps − 1) + j, c] along each sequence, for channels [begin, end). The state of a sequence is
// its last rows [taps − 1, channels], oldest first. A slot that is not there gives VLM_BAD_INDEX, and nothing is written.
typedef struct vlm_short_convolution_args {
  vlm_sequences sequences;
  int64_t channels, taps;  // at least one channel, two taps
  const float *x;          // [rows, channels]
  int64_t x_stride;
  const float *weight;     // [channels, taps]
  float *y;                // [rows, channels]; may be x
  int64_t y_stride;
} vlm_short_convolution_args;
vlm_status vlm_short_convolution(const vlm_short_convolution_args *args, int64_t begin, int64_t end);

// The gated delta rule along each sequence, for heads [begin, end): with the head's state S [key_dim, value_dim],
// S = decay · S; S = S + k ⊗ gain · (v − Sᵀ k); y = Sᵀ q. Head h has the query and key of head h / (heads / key_heads). A slot that
// is not there gives VLM_BAD_INDEX, and nothing is written.
typedef struct vlm_gated_delta_args {
  vlm_sequences sequences;  // a state is [heads, key_dim, value_dim]
  int64_t key_heads, heads, key_dim, value_dim;
  const float *q;           // [rows, key_heads, key_dim]
  int64_t q_stride;
  const float *k;           // [rows, key_heads, key_dim]
  int64_t k_stride;
  const float *v;           // [rows, heads, value_dim]
  int64_t v_stride;
  const float *decay;       // [rows, heads]
  int64_t decay_stride;
  const float *gain;        // [rows, heads]
  int64_t gain_stride;
  float *y;                 // [rows, heads, value_dim]; aliases nothing
  int64_t y_stride;
} vlm_gated_delta_args;
vlm_status vlm_gated_delta(const vlm_gated_delta_args *args, int64_t begin, int64_t end);

#ifdef __cplusplus
}
#endif
#endif
