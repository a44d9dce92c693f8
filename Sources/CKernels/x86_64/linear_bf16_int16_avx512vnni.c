#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#include "linear_bf16_int16_512.inl"

VLM_INLINE v_i32 i_dot(v_i32 sum, v_i16 w, v_pair x) {
  // As an intrinsic the compiler splits it into a product and a sum, for a shorter chain and twice the work.
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
  return sum;
}

#include "../vectors/linear_bf16_int16.inl"

void vlm_linear_bf16_int16_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  linear_bf16_int16(a, begin, end, scratch);
}
#pragma clang attribute pop
#endif
