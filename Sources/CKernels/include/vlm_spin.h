// A hint to the processor that the caller waits in a loop.
#ifndef VLM_SPIN_H
#define VLM_SPIN_H

static inline void vlm_spin_hint(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
