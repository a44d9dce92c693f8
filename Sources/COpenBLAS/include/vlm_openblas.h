// Large dense f32 products by OpenBLAS, which is opened when it is first needed: programs that never multiply with it neither
// load it nor start its threads, and run where it is missing. Each call computes on the calling thread alone.
#ifndef VLM_OPENBLAS_H
#define VLM_OPENBLAS_H

#include <stdbool.h>
#include <vlm_kernels.h>

#ifdef __cplusplus
extern "C" {
#endif

// Most threads that may call at once: OpenBLAS ends the process when its table of buffers is full.
enum { VLM_OPENBLAS_THREADS = 64 };

// Opens the library for good; false where it is missing, and then every call below returns false and writes nothing.
bool vlm_openblas_open(void);

// Release and kernels of the opened library in words, which decide the bits of its products; "none" where it is missing.
const char *vlm_openblas_description(void);

// c[m, n] = a[m, k] · b + beta · c, row-major; b is [k, n], or [n, k] if `transposes_b`. Strides count elements between rows.
typedef struct vlm_openblas_product {
  int m, n, k;
  const float *a;
  int a_stride;
  const float *b;
  int b_stride;
  bool transposes_b;
  float beta;
  float *c;
  int c_stride;
} vlm_openblas_product;
bool vlm_openblas_multiply(const vlm_openblas_product *product);

// From this many rows on OpenBLAS is worth unpacking a weight for.
enum { VLM_OPENBLAS_ROWS = 256 };

// Bytes of scratch of one vlm_openblas_linear call.
size_t vlm_openblas_scratch_bytes(void);

// What vlm_linear computes for panels [begin, end), for VLM_LINEAR_F32_F32 and VLM_LINEAR_BF16_F32. Panels are unpacked piece
// by piece. With both an activation and a residual, the residual must not be y.
bool vlm_openblas_linear(const vlm_linear_args *args, int64_t begin, int64_t end, void *scratch, vlm_isa isa);

#ifdef __cplusplus
}
#endif
#endif
