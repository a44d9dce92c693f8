// Addresses of up to 12 rows of a matrix by four registers and a stride, so that the inner loops spend few scalar
// instructions (which compete with multiply-adds for ports) on addresses.

typedef struct {
  const char *third[4];  // rows 0, 3, 6, 9
} row_pointers;

VLM_INLINE row_pointers row_pointers_at(const void *base, int64_t stride_bytes, const int rows) {
  row_pointers p = {{base, base, base, base}};
#pragma clang loop unroll(full)
  for (int i = 1; 3 * i < rows; i++) {
    p.third[i] = (const char *)base + 3 * i * stride_bytes;
    __asm__("" : "+r"(p.third[i]));
  }
  return p;
}

VLM_INLINE void row_pointers_advance(row_pointers *p, int64_t bytes, const int rows) {
#pragma clang loop unroll(full)
  for (int i = 0; 3 * i < rows; i++) {
    p->third[i] += bytes;
    __asm__("" : "+r"(p->third[i]));
  }
}

VLM_INLINE const void *row_pointer(const row_pointers *p, int64_t stride_bytes, const int row, const int offset) {
  return p->third[row / 3] + row % 3 * stride_bytes + offset;
}

// Prefetches the cache line `ahead` bytes further of every row.
VLM_INLINE void row_pointers_prefetch(const row_pointers *p, int64_t stride_bytes, const int ahead, const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) __builtin_prefetch(row_pointer(p, stride_bytes, m, ahead));
}
