#include "../adapters.h"
#include "../elementwise.h"
#include "../norm.h"
#include "../sampling.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#define V_NAME(name) vlm_##name##_avx2
#include "../vectors/adapters_body.inl"
#include "../vectors/elementwise_body.inl"
#include "../vectors/norm_body.inl"
#include "../vectors/sampling_body.inl"
#pragma clang attribute pop
#endif
