// What the plain kernels share: elements of every type, and walks over axes.
#ifndef VLM_STRIDED_H
#define VLM_STRIDED_H

#include "internal.h"
#include "vlm_strided.h"

// Whether elements are whole numbers.
static inline bool vlm_is_whole(vlm_element element) { return element >= VLM_ELEMENT_I32; }

// The element `offset` places behind `base`.
static inline void *vlm_at(const vlm_strided *t, int64_t offset) {
  return (char *)t->base + offset * (int64_t)vlm_element_bytes(t->element);
}

// n elements from `base` on, `step` apart, as f32 or i32.
void vlm_load_f32(const void *base, vlm_element element, int64_t step, int64_t n, float *values);
void vlm_load_i32(const void *base, vlm_element element, int64_t step, int64_t n, int32_t *values);

// The other way: f32 rounded to the nearest even or, for whole numbers, toward zero; i32 saturated, or as real numbers.
void vlm_store_f32(void *base, vlm_element element, int64_t step, int64_t n, const float *values);
void vlm_store_i32(void *base, vlm_element element, int64_t step, int64_t n, const int32_t *values);

// Products of extents from `begin` on; −1 where one is negative or there are more than VLM_AXES axes.
int64_t vlm_walk_count(int64_t axes, const int64_t *extent);

// Where the walk's step `index`, the last axis running fastest, lies in a tensor with such strides.
static inline int64_t vlm_walk_offset(int64_t axes, const int64_t *extent, const int64_t *stride, int64_t index) {
  int64_t offset = 0;
  for (int64_t axis = axes - 1; axis >= 0; axis--) {
    offset += index % extent[axis] * stride[axis];
    index /= extent[axis];
  }
  return offset;
}

#endif
