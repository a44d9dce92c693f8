#include "../adapters.h"
#include "../elementwise.h"
#include "../norm.h"
#include "../sampling.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "math_body.inl"
#define V_NAME(name) vlm_##name##_avx2
#include "adapters_body.inl"
#include "elementwise_body.inl"
#include "norm_body.inl"
#include "sampling_body.inl"
#pragma clang attribute pop
#endif
