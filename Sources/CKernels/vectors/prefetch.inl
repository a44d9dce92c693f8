// Prefetches of weights that few rows read once, from memory.

// How far ahead of what is read, in bytes, where memory is far; near is up to the kernel.
enum { FAR_AHEAD = 8192 };

VLM_INLINE void prefetch_line(const void *at, const bool is_far) {
  if (is_far) __builtin_prefetch(at, 0, 2);
  else __builtin_prefetch(at, 0, 3);
}

// Prefetches 128 bytes for `rows` rows. Where memory is near, one and two rows wait for it alone: prefetches would only hold the few miss buffers of
// the first cache, which loads and the hardware's own prefetches use better (Zen 4, one row of int4: 19 → 24 GB/s per core).
VLM_INLINE void stream_ahead(const void *at, const bool is_far, const int rows) {
  if (!is_far && rows <= 2) return;
  prefetch_line(at, is_far);
  prefetch_line((const char *)at + 64, is_far);
}
