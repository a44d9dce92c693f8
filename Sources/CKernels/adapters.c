#include "adapters.h"

vlm_status vlm_adapter_down(
    const vlm_adapter *adapter, const float *x, int64_t inputs, int64_t begin, int64_t end, float *h, vlm_isa isa) {
  if (inputs < 1 || begin < 0 || begin > end || end > adapter->rank) return VLM_BAD_SHAPE;
  VLM_ROWWISE(vlm_adapter_down, isa)(adapter, x, inputs, begin, end, h);
  return VLM_OK;
}

vlm_status vlm_adapter_up(
    const vlm_adapter *adapter, const float *h, int64_t outputs, int64_t begin, int64_t end, float *y, vlm_isa isa) {
  if (adapter->rank < 0 || begin < 0 || begin > end || end > outputs) return VLM_BAD_SHAPE;
  VLM_ROWWISE(vlm_adapter_up, isa)(adapter, h, outputs, begin, end, y);
  return VLM_OK;
}
