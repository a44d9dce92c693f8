#include "sampling.h"

// Each product and each sum is rounded by itself, as in the vector versions.
#pragma clang fp contract(off)

int64_t vlm_first_greatest_generic(const float *x, int64_t count) {
  int64_t best = -1;
  for (int64_t i = 0; i < count; i++)
    if (x[i] == x[i] && (best < 0 || x[i] > x[best])) best = i;
  return best;
}

void vlm_block_greatest_generic(const float *x, int64_t count, float *y) {
  for (int64_t first = 0; first < count; first += VLM_SAMPLING_BLOCK) {
    float most = vlm_from_bits(0xff800000);
    for (int64_t i = first; i < vlm_min(first + VLM_SAMPLING_BLOCK, count); i++)
      if (x[i] > most) most = x[i];
    y[first / VLM_SAMPLING_BLOCK] = most;
  }
}

int64_t vlm_at_least_generic(const float *x, int64_t count, float least, int32_t *indices) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++)
    if (x[i] >= least) indices[found++] = (int32_t)i;
  return found;
}

// eˣ for x ≤ 0, without fused operations.
static float weight(float x) {
  if (!(x >= VLM_WEIGHT_LOW)) return 0;
  float magic = 0x1.8p23f, shifted = x * VLM_LOG2E + magic, n = shifted - magic;
  float r = (x - n * VLM_LN2_HIGH) - n * VLM_LN2_LOW;
  float p = VLM_EXP_C6;
  p = p * r + VLM_EXP_C5;
  p = p * r + VLM_EXP_C4;
  p = p * r + VLM_EXP_C3;
  p = p * r + VLM_EXP_C2;
  p = 1.0f + (r * r * p + r);
  return vlm_from_bits(vlm_bits(p) + (vlm_bits(shifted) << 23));
}

void vlm_sampling_weights_generic(const vlm_sampling_weights_args *a, int64_t begin, int64_t end) {
  for (int64_t chunk = begin; chunk < end; chunk++) {
    float lanes[VLM_SUM_LANES] = {0};
    int64_t first = chunk * VLM_SAMPLING_CHUNK, last = vlm_min(first + VLM_SAMPLING_CHUNK, a->count);
    for (int64_t i = first; i < last; i++) {
      float w = a->x[i] >= a->limit ? weight((a->x[i] - a->top) / a->temperature) : 0;
      if (w < a->least) w = 0;
      if (a->y) a->y[i] = w;
      lanes[i % VLM_SUM_LANES] += w;
    }
    a->sums[chunk] = vlm_fold_lanes(lanes);
  }
}
