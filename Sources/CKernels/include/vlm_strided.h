// Plain kernels: every op over any rank and any strides, for what no other kernel computes. Slow where axes lie apart, and the same
// numbers however the work is split.
#ifndef VLM_STRIDED_KERNELS_H
#define VLM_STRIDED_KERNELS_H

#include "vlm_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VLM_AXES = 10, VLM_MAP_BLOCK = 256 };

typedef enum vlm_element {
  VLM_ELEMENT_F32 = 0,
  VLM_ELEMENT_BF16 = 1,
  VLM_ELEMENT_F16 = 2,
  VLM_ELEMENT_I32 = 3,
  VLM_ELEMENT_I16 = 4,
  VLM_ELEMENT_I8 = 5,
  VLM_ELEMENT_U8 = 6,
  VLM_ELEMENT_BOOL = 7,  // bytes 0 and 1
} vlm_element;
enum { VLM_ELEMENTS = 8 };

// Bytes of one element; 0 for a value that is none of the enum.
size_t vlm_element_bytes(vlm_element element);

// A tensor as one kernel walks over it: for each axis of the walk the elements from one index to the next, 0 where the tensor stretches.
typedef struct vlm_strided {
  void *base;
  vlm_element element;
  const int64_t *stride;
} vlm_strided;

// Functions of elements. Real numbers are computed in f32 and rounded to y's element; whole numbers (copy, add to minimum, where)
// wrap in 32 bits and saturate to y's element; x / 0 is 0.
typedef enum vlm_map_op {
  VLM_MAP_COPY = 0,  // converts: to whole numbers toward zero, to bool as x ≠ 0
  VLM_MAP_NEG = 1,
  VLM_MAP_SQUARE = 2,
  VLM_MAP_SQRT = 3,
  VLM_MAP_RSQRT = 4,
  VLM_MAP_EXP = 5,
  VLM_MAP_LOG = 6,
  VLM_MAP_COS = 7,
  VLM_MAP_SIN = 8,
  VLM_MAP_SIGMOID = 9,
  VLM_MAP_TANH = 10,
  VLM_MAP_ERF = 11,
  VLM_MAP_SOFTPLUS = 12,  // log(1 + eˣ)
  VLM_MAP_RECIPROCAL = 13,
  VLM_MAP_ADD = 14,
  VLM_MAP_SUB = 15,
  VLM_MAP_MUL = 16,
  VLM_MAP_DIV = 17,
  VLM_MAP_MAXIMUM = 18,
  VLM_MAP_MINIMUM = 19,
  VLM_MAP_WHERE = 20,  // x[0] ≠ 0 ? x[1] : x[2]
} vlm_map_op;
enum { VLM_MAP_OPS = 21 };

// y[i…] = op(x[0][i…], …) over the axes of the walk. y may be an operand of the same strides and element.
typedef struct vlm_map_args {
  vlm_map_op op;
  int64_t axes;           // 1 … VLM_AXES
  const int64_t *extent;  // [axes]
  vlm_strided x[3];       // as many as the op has operands
  vlm_strided y;
} vlm_map_args;

// Number of work items: blocks of VLM_MAP_BLOCK elements of each line along the last axis; −1 for arguments that are not supported.
int64_t vlm_map_items(const vlm_map_args *args);
vlm_status vlm_map(const vlm_map_args *args, int64_t begin, int64_t end);

typedef enum vlm_along_op {
  VLM_ALONG_SUM = 0,
  VLM_ALONG_MEAN = 1,
  VLM_ALONG_MAX = 2,
  VLM_ALONG_ARGMAX = 3,   // the first of the largest, as i32
  VLM_ALONG_SOFTMAX = 4,  // zeros for a line of −inf
  VLM_ALONG_CUMSUM = 5,
  VLM_ALONG_TOP_K = 6,  // the `kept` largest in falling order, the first of equals first; `chosen` gets their places, as i32
} vlm_along_op;
enum { VLM_ALONG_OPS = 7 };

// One line of `count` elements for each index of the axes of the walk, summed in f64.
typedef struct vlm_along_args {
  vlm_along_op op;
  int64_t axes;           // 0 … VLM_AXES, those beside the line
  const int64_t *extent;  // [axes]
  int64_t count, kept;
  vlm_strided x, y, chosen;
  int64_t x_step, y_step, chosen_step;  // elements from one place of a line to the next
} vlm_along_args;

// Number of work items: lines; −1 for arguments that are not supported.
int64_t vlm_along_items(const vlm_along_args *args);
vlm_status vlm_along(const vlm_along_args *args, int64_t begin, int64_t end);

// y[b…, m, n] = Σ a[b…, m, k] · b[b…, k, n] in f32, for any strides of f32 tensors.
typedef struct vlm_matmul_args {
  int64_t axes;           // 0 … VLM_AXES, those of the batch
  const int64_t *extent;  // [axes]
  int64_t m, n, k;
  vlm_strided a, b, y;  // strides of the batch
  int64_t a_row, a_step, b_step, b_column, y_row, y_column;
} vlm_matmul_args;

// Number of work items: rows of y; −1 for arguments that are not supported.
int64_t vlm_matmul_items(const vlm_matmul_args *args);
vlm_status vlm_matmul(const vlm_matmul_args *args, int64_t begin, int64_t end);

// y[t…, i…] = x[index[t…], i…]; where the index is negative a[t…, i…] if there is an `a`. Other indices outside 0 ..< rows give
// VLM_BAD_INDEX. All tensors but the index have the same element.
typedef struct vlm_pick_args {
  int64_t index_axes;           // 0 … VLM_AXES
  const int64_t *index_extent;  // [index_axes]
  vlm_strided index;            // i32
  int64_t rows;
  int64_t axes;                 // 1 … VLM_AXES, those of one row
  const int64_t *extent;        // [axes]
  vlm_strided x, y, a;          // strides inside of a row; a.base NULL: none
  int64_t x_row;                // elements from row to row
  const int64_t *y_stride, *a_stride;  // [index_axes]
} vlm_pick_args;

// Number of work items: indices; −1 for arguments that are not supported.
int64_t vlm_pick_items(const vlm_pick_args *args);
vlm_status vlm_pick(const vlm_pick_args *args, int64_t begin, int64_t end);

#ifdef __cplusplus
}
#endif
#endif
