#include "../attention.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#include "attention_int16_512.inl"

VLM_INLINE v_i32 i_dot(v_i32 sum, v_i32 w, v_i32 x) {
  // As an intrinsic the compiler splits it into a product and a sum, for a shorter chain and twice the work.
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
  return sum;
}

#include "../vectors/attention_int16.inl"

void vlm_attend_int16_avx512vnni(const vlm_query_tile *tile, const vlm_key_tile *keys, const vlm_coded_keys *coded) { attend_codes(tile, keys, coded); }
#pragma clang attribute pop
#endif
