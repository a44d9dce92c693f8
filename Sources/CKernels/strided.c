#include "strided.h"

size_t vlm_element_bytes(vlm_element element) {
  switch (element) {
    case VLM_ELEMENT_F32:
    case VLM_ELEMENT_I32: return 4;
    case VLM_ELEMENT_BF16:
    case VLM_ELEMENT_F16:
    case VLM_ELEMENT_I16: return 2;
    case VLM_ELEMENT_I8:
    case VLM_ELEMENT_U8:
    case VLM_ELEMENT_BOOL: return 1;
  }
  return 0;
}

int64_t vlm_walk_count(int64_t axes, const int64_t *extent) {
  if (axes < 0 || axes > VLM_AXES) return -1;
  int64_t count = 1;
  for (int64_t axis = 0; axis < axes; axis++) {
    if (extent[axis] < 0) return -1;
    count *= extent[axis];
  }
  return count;
}

// One loop for elements side by side, which the compiler vectorizes, and one for those apart.
#define LOAD(type, value) { \
    const type *p = base; \
    if (step == 1) for (int64_t i = 0; i < n; i++) { type v = p[i]; values[i] = value; } \
    else for (int64_t i = 0; i < n; i++) { type v = p[i * step]; values[i] = value; } \
    return; \
  }

void vlm_load_f32(const void *base, vlm_element element, int64_t step, int64_t n, float *values) {
  switch (element) {
    case VLM_ELEMENT_F32: LOAD(float, v)
    case VLM_ELEMENT_BF16: LOAD(uint16_t, vlm_from_bf16(v))
    case VLM_ELEMENT_F16: LOAD(uint16_t, vlm_from_f16(v))
    case VLM_ELEMENT_I32: LOAD(int32_t, (float)v)
    case VLM_ELEMENT_I16: LOAD(int16_t, (float)v)
    case VLM_ELEMENT_I8: LOAD(int8_t, (float)v)
    case VLM_ELEMENT_U8:
    case VLM_ELEMENT_BOOL: LOAD(uint8_t, (float)v)
  }
}

// Toward zero, saturated; NaN gives 0.
static int32_t whole(float x) {
  if (x != x) return 0;
  if (x >= 2147483648.0f) return INT32_MAX;
  return x <= -2147483648.0f ? INT32_MIN : (int32_t)x;
}

static int32_t between(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

void vlm_load_i32(const void *base, vlm_element element, int64_t step, int64_t n, int32_t *values) {
  switch (element) {
    case VLM_ELEMENT_F32: LOAD(float, whole(v))
    case VLM_ELEMENT_BF16: LOAD(uint16_t, whole(vlm_from_bf16(v)))
    case VLM_ELEMENT_F16: LOAD(uint16_t, whole(vlm_from_f16(v)))
    case VLM_ELEMENT_I32: LOAD(int32_t, v)
    case VLM_ELEMENT_I16: LOAD(int16_t, v)
    case VLM_ELEMENT_I8: LOAD(int8_t, v)
    case VLM_ELEMENT_U8:
    case VLM_ELEMENT_BOOL: LOAD(uint8_t, v)
  }
}

#define STORE(type, value) { \
    type *p = base; \
    if (step == 1) for (int64_t i = 0; i < n; i++) { __typeof__(values[0]) v = values[i]; p[i] = value; } \
    else for (int64_t i = 0; i < n; i++) { __typeof__(values[0]) v = values[i]; p[i * step] = value; } \
    return; \
  }

void vlm_store_f32(void *base, vlm_element element, int64_t step, int64_t n, const float *values) {
  switch (element) {
    case VLM_ELEMENT_F32: STORE(float, v)
    case VLM_ELEMENT_BF16: STORE(uint16_t, vlm_to_bf16(v))
    case VLM_ELEMENT_F16: STORE(uint16_t, vlm_to_f16(v))
    case VLM_ELEMENT_I32: STORE(int32_t, whole(v))
    case VLM_ELEMENT_I16: STORE(int16_t, (int16_t)between(whole(v), -32768, 32767))
    case VLM_ELEMENT_I8: STORE(int8_t, (int8_t)between(whole(v), -128, 127))
    case VLM_ELEMENT_U8: STORE(uint8_t, (uint8_t)between(whole(v), 0, 255))
    case VLM_ELEMENT_BOOL: STORE(uint8_t, v != 0)
  }
}

void vlm_store_i32(void *base, vlm_element element, int64_t step, int64_t n, const int32_t *values) {
  switch (element) {
    case VLM_ELEMENT_F32: STORE(float, (float)v)
    case VLM_ELEMENT_BF16: STORE(uint16_t, vlm_to_bf16((float)v))
    case VLM_ELEMENT_F16: STORE(uint16_t, vlm_to_f16((float)v))
    case VLM_ELEMENT_I32: STORE(int32_t, v)
    case VLM_ELEMENT_I16: STORE(int16_t, (int16_t)between(v, -32768, 32767))
    case VLM_ELEMENT_I8: STORE(int8_t, (int8_t)between(v, -128, 127))
    case VLM_ELEMENT_U8: STORE(uint8_t, (uint8_t)between(v, 0, 255))
    case VLM_ELEMENT_BOOL: STORE(uint8_t, v != 0)
  }
}
