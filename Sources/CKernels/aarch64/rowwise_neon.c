#include "../adapters.h"
#include "../elementwise.h"
#include "../norm.h"
#include "../sampling.h"

#if VLM_AARCH64
#include "simd_neon.h"
#include "../vectors/math_body.inl"
#define V_NAME(name) vlm_##name##_neon
#include "../vectors/adapters_body.inl"
#include "../vectors/elementwise_body.inl"
#include "../vectors/norm_body.inl"
#include "../vectors/sampling_body.inl"
#endif
