#include "internal.h"

#if VLM_X86_64
#include <cpuid.h>

static uint64_t enabled_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

vlm_isa vlm_cpu_features(void) {
  enum { FMA = 1 << 12, OSXSAVE = 1 << 27, F16C = 1 << 29 };                           // leaf 1, ecx
  enum { AVX2 = 1 << 5, F = 1 << 16, DQ = 1 << 17, BW = 1 << 30, VNNI = 1 << 11 };     // leaf 7, ebx; VNNI in ecx
  const uint32_t VL = 1u << 31, BF16 = 1 << 5;                                         // leaf 7, ebx; leaf 7.1, eax
  const uint64_t ymm = 0x6, zmm = 0xe6;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (FMA | OSXSAVE | F16C)) != (FMA | OSXSAVE | F16C)) return VLM_ISA_GENERIC;
  uint64_t state = enabled_state();
  if ((state & ymm) != ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2)) return VLM_ISA_GENERIC;
  uint32_t subleaves = a, wanted = F | DQ | BW | VL;
  vlm_isa isa = VLM_ISA_AVX2;
  if ((state & zmm) != zmm || (b & wanted) != wanted) return isa;
  isa |= VLM_ISA_AVX512;
  if (c & VNNI) isa |= VLM_ISA_AVX512_VNNI;
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & BF16)) isa |= VLM_ISA_AVX512_BF16;
  return isa;
}
#else
vlm_isa vlm_cpu_features(void) { return VLM_ISA_GENERIC; }
#endif
