#ifndef VLM_ADAPTERS_INTERNAL_H
#define VLM_ADAPTERS_INTERNAL_H
#include "internal.h"
#include "vlm_adapters.h"

typedef void vlm_adapter_down_fn(const vlm_adapter *adapter, const float *x, int64_t inputs, int64_t begin, int64_t end, float *h);
typedef void vlm_adapter_up_fn(const vlm_adapter *adapter, const float *h, int64_t outputs, int64_t begin, int64_t end, float *y);
extern vlm_adapter_down_fn vlm_adapter_down_generic;
extern vlm_adapter_up_fn vlm_adapter_up_generic;
#if VLM_X86_64
vlm_adapter_down_fn vlm_adapter_down_avx2, vlm_adapter_down_avx512;
vlm_adapter_up_fn vlm_adapter_up_avx2, vlm_adapter_up_avx512;
#elif VLM_AARCH64
extern vlm_adapter_down_fn vlm_adapter_down_neon;
extern vlm_adapter_up_fn vlm_adapter_up_neon;
#endif

#endif
