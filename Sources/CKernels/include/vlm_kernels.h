// Numeric kernels of the CPU backend: plain C, no allocation, no libc, no globals, no threads, no environment.
//
// Charter
// - Every kernel works on an explicit half-open range [begin, end) of items, so that a thread team outside splits the
//   work; calls with disjoint ranges may run at the same time. A call that covers no items does nothing.
// - Activations are f32, row-major; strides count elements (not bytes) between rows. Pointers may be unaligned unless
//   the contract says otherwise. No kernel reads or writes outside the shapes that are documented.
// - `isa` says which instructions may be used (`vlm_cpu_features()` or a subset). Every kernel has a generic version;
//   results of different versions agree to f32 rounding of the same mathematics.
// - Scratch is private to one call: two calls that run at the same time need two scratch buffers, 64-byte aligned.
// - Kernels that can meet a bad argument return a `vlm_status` and then have written nothing, unless said otherwise.
// - Transcendentals: exp ≤ 2 ulp on [-87, 88] (below -87.3: 0; above 88.7: inf), erf and tanh ≤ 4 ulp, sigmoid ≤ 4 ulp,
//   cos and sin ≤ 1 ulp for |angle| ≤ 1e6.
// - Adapters, attention, recurrences, screens and strided fallbacks have headers of their own, under the same charter.
#ifndef VLM_KERNELS_H
#define VLM_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A set of instruction-set features, as bits. Generic code needs none.
typedef uint32_t vlm_isa;
static const vlm_isa VLM_ISA_GENERIC = 0;
static const vlm_isa VLM_ISA_AVX2 = 1;          // avx2, fma, f16c
static const vlm_isa VLM_ISA_AVX512 = 2;        // avx512 f, bw, vl, dq (implies VLM_ISA_AVX2 in what is reported)
static const vlm_isa VLM_ISA_AVX512_VNNI = 4;   // vpdpbusd on 512 bits
static const vlm_isa VLM_ISA_AVX512_BF16 = 8;   // vdpbf16ps on 512 bits
static const vlm_isa VLM_ISA_AVX_VNNI = 16;     // vpdpbusd on 256 bits in its VEX form
static const vlm_isa VLM_ISA_NEON = 32;         // what every aarch64 has
static const vlm_isa VLM_ISA_NEON_DOT = 64;     // sdot on 128 bits
static const vlm_isa VLM_ISA_AMX = 128;         // tiles, tdpbssd and tdpbf16ps

// The bit of a feature that goes by this name in /proc/cpuinfo; one that no processor reports where the name says nothing.
vlm_isa vlm_isa_of_feature(const char *name);

// The features of this processor that the operating system has enabled (cpuid and xgetbv, or ID_AA64ISAR0_EL1). Linux lets a process use AMX only
// after it has asked for it, which this does.
vlm_isa vlm_cpu_features(void);

// Whether a core of this processor has too few miss buffers in its first cache for the way to memory, so that weights are better asked for
// early and into the second: Intel's, where that reads up to 1.7 times as fast (Emerald Rapids, one row of int4: 8.6 → 12 GB/s). AMD's are not.
bool vlm_memory_is_far(void);

typedef enum vlm_status {
  VLM_OK = 0,
  VLM_BAD_SHAPE = 1,      // a size, stride, range or enum value that the kernel does not support
  VLM_BAD_ALIGNMENT = 2,  // a pointer that must be 64-byte aligned and is not
  VLM_BAD_INDEX = 3,      // an index outside its table
} vlm_status;

typedef enum vlm_dtype { VLM_F32 = 0, VLM_BF16 = 1, VLM_F16 = 2 } vlm_dtype;

typedef enum vlm_activation {
  VLM_ACTIVATION_NONE = 0,
  VLM_ACTIVATION_SILU = 1,        // x · sigmoid(x)
  VLM_ACTIVATION_QUICK_GELU = 2,  // x · sigmoid(1.702 x)
  VLM_ACTIVATION_GELU_ERF = 3,    // x/2 · (1 + erf(x/√2))
  VLM_ACTIVATION_GELU_TANH = 4,   // x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³)))
  VLM_ACTIVATION_RELU = 5,        // max(x, 0), NaN for NaN
} vlm_activation;
enum { VLM_ACTIVATIONS = 6 };

// How the weight W[outputs, inputs] of a linear layer is packed. Panels hold VLM_PANEL outputs; the last panel is
// padded with zeros. Packed weights are 64-byte aligned.
typedef enum vlm_weight_format {
  VLM_WEIGHT_BF16 = 0,  // [panels][⌈inputs/2⌉][VLM_PANEL][2] bf16; an odd last input is padded with zero
  VLM_WEIGHT_F32 = 1,   // [panels][inputs][VLM_PANEL] f32
  VLM_WEIGHT_INT4 = 2,  // [panels][inputs/group] blocks; see vlm_int4_block_bytes
  VLM_WEIGHT_F8 = 3,    // [panels][⌈inputs/group⌉] blocks of e4m3; see vlm_pack_f8
  VLM_WEIGHT_F4 = 4,    // [panels] of e2m1 codes and their scales; see vlm_pack_f4
  VLM_WEIGHT_SCREEN = 5,  // for screening alone: [panels] of u8 [⌈inputs/4⌉][VLM_PANEL][4], each q + 128, then VLM_PANEL each of f32
                        // scales, ‖w − ŵ‖ and ‖ŵ‖, where w is what VLM_WEIGHT_BF16 has and ŵ = scale · q
  VLM_WEIGHT_INT8 = 6,  // [panels][inputs/group] blocks; see vlm_pack_int8
} vlm_weight_format;

enum { VLM_PANEL = 32 };

// Number of panels of `outputs` rows.
int64_t vlm_panels(int64_t outputs);

// Bytes of a packed weight; 0 if the shape is not supported. `group` matters for formats in blocks: 32, 64 or 128 for
// VLM_WEIGHT_INT4, also 16 for VLM_WEIGHT_F8, 16 or 32 for VLM_WEIGHT_F4. Inputs are a multiple of it, but for VLM_WEIGHT_F8, whose last
// group may be smaller.
// For VLM_WEIGHT_INT8 also all inputs may be one group, a multiple of 16 and at most 2¹⁶ of them.
size_t vlm_weight_bytes(vlm_weight_format format, int64_t outputs, int64_t inputs, int64_t group);

// Bytes of one panel; panel p starts at p times this.
size_t vlm_panel_bytes(vlm_weight_format format, int64_t inputs, int64_t group);

// Bytes of an int4 block of VLM_PANEL outputs × group inputs: group/8 steps of 128 bytes (byte 4·o + j of a step holds
// input 8·step + j of output o in its low nibble and input 8·step + 4 + j in its high nibble), VLM_PANEL f16 scales,
// VLM_PANEL f16 zeros (whole numbers 0..16). W = (q − zero) · scale.
size_t vlm_int4_block_bytes(int64_t group);

// Packs `count` checkpoint rows [count, inputs] (row-major, type `source_type`, `source_stride` elements between rows)
// as outputs first, first+1, … of a weight with `outputs` rows in all. Any order and any ranges; the call that contains
// the last output also fills the padding. VLM_WEIGHT_BF16 rounds to nearest even.
typedef struct vlm_pack_rows_args {
  vlm_weight_format format;  // VLM_WEIGHT_BF16, VLM_WEIGHT_F32 or VLM_WEIGHT_SCREEN
  vlm_dtype source_type;
  int64_t outputs, inputs;
  int64_t first, count;
  const void *source;
  int64_t source_stride;
  void *packed;
} vlm_pack_rows_args;
vlm_status vlm_pack_rows(const vlm_pack_rows_args *args);

// Packs AWQ "gemm" columns [source_begin, source_end) as outputs first, first+1, … of an int4 weight with `outputs` rows.
// qweight i32 [inputs, source_outputs/8], qzeros i32 [inputs/group, source_outputs/8],
// scales f16 [inputs/group, source_outputs]; column 8c+k sits at nibble {0,4,1,5,2,6,3,7}[k].
typedef struct vlm_pack_awq_args {
  int64_t outputs, inputs, group;
  int64_t source_outputs, source_begin, source_end, first;
  const int32_t *qweight;
  const int32_t *qzeros;
  const uint16_t *scales;
  const uint16_t *zeros;  // f16 [inputs/group, source_outputs], whole numbers 0..16, instead of qzeros; or NULL
  void *packed;
} vlm_pack_awq_args;
vlm_status vlm_pack_awq(const vlm_pack_awq_args *args);

// Packs `count` rows of plain int4 values as outputs first, first+1, …: q u8 [count, inputs] (0..15), scales f16
// [count, inputs/group], zeros u8 [count, inputs/group] (0..15).
typedef struct vlm_pack_int4_args {
  int64_t outputs, inputs, group;
  int64_t first, count;
  const uint8_t *q;
  const uint16_t *scales;
  const uint8_t *zeros;
  void *packed;
} vlm_pack_int4_args;
vlm_status vlm_pack_int4(const vlm_pack_int4_args *args);

// Packs `count` rows of 8-bit values as outputs first, first+1, …: W = (code − zero) · scale. A block of VLM_PANEL outputs × group
// inputs is group/4 steps of 128 bytes (byte 4·o + j of a step holds input 4·step + j of output o), VLM_PANEL f32 scales,
// VLM_PANEL u16 zeros. Other zeros than 0..256 give VLM_BAD_SHAPE.
typedef struct vlm_pack_int8_args {
  int64_t outputs, inputs, group;
  int64_t first, count;
  const uint8_t *codes;   // [count, inputs]
  const float *scales;    // [count, inputs/group]
  const uint16_t *zeros;  // [count, inputs/group]
  void *packed;
} vlm_pack_int8_args;
vlm_status vlm_pack_int8(const vlm_pack_int8_args *args);

// Packs `count` rows of e4m3 numbers as outputs first, first+1, … of a VLM_WEIGHT_F8 with `outputs` rows in all. W = code · scale,
// one rounding to f32. A block of VLM_PANEL outputs × n inputs (the group, or what is left of the inputs) is VLM_PANEL f32
// scales, then for each input VLM_PANEL codes: byte 2·i is output i, byte 2·i + 1 output VLM_PANEL/2 + i. Scales are kept 2⁸-fold, so
// that those of 2¹²⁰ and more count as infinite. A NaN among the codes (0x7f, 0xff) makes all numbers of its output and block NaN: a
// product with that output is NaN either way.
typedef struct vlm_pack_f8_args {
  int64_t outputs, inputs, group;
  int64_t first, count;
  const uint8_t *codes;  // [count, inputs]
  const float *scales;   // [count, ⌈inputs/group⌉]
  void *packed;
} vlm_pack_f8_args;
vlm_status vlm_pack_f8(const vlm_pack_f8_args *args);

// Packs `count` rows of e2m1 numbers as outputs first, first+1, … of a VLM_WEIGHT_F4 with `outputs` rows in all.
// W = code · (scale · output scale), both products rounded to f32. Scales of groups of 32 are e8m0 (MXFP4; 2⁻¹²⁷ counts as 0), those of
// groups of 16 e4m3 (NVFP4). A panel is VLM_PANEL output scales in f32, ½ or 2⁷ times theirs since kernels take codes 2-fold and e4m3 2⁻⁸-fold;
// then for each 128 inputs, or what is left of them, VLM_PANEL scales for each group that 128 inputs have, and the codes in steps of 8 inputs
// as an int4 block has them. A scale that is NaN makes its output NaN.
// Integer kernels take the scales of 128 inputs as whole multiples of 2⁻¹² of the greatest's power of two, to the nearest.
typedef struct vlm_pack_f4_args {
  int64_t outputs, inputs, group;
  int64_t first, count;
  const uint8_t *codes;        // [count, inputs/2], two in a byte, the first in the low half
  const uint8_t *scales;       // [count, inputs/group]
  const float *output_scales;  // [count]
  void *packed;
} vlm_pack_f4_args;
vlm_status vlm_pack_f4(const vlm_pack_f4_args *args);

// Writes rows ids[begin..<end) of a packed weight to y as f32: y[i, 0..<inputs) = W[ids[i], :]. Used for embeddings that
// share the head's weight. An id outside 0..<outputs gives VLM_BAD_INDEX.
typedef struct vlm_unpack_rows_args {
  vlm_weight_format format;
  int64_t outputs, inputs, group;
  const void *packed;
  const int32_t *ids;
  float *y;
  int64_t y_stride;
} vlm_unpack_rows_args;
vlm_status vlm_unpack_rows(const vlm_unpack_rows_args *args, int64_t begin, int64_t end, vlm_isa isa);

// Writes inputs [begin, end) of panels first ..< first + count of a VLM_WEIGHT_F32 or VLM_WEIGHT_BF16 weight to y as f32, an
// input per row: y[k − begin, VLM_PANEL·p + o] = W[VLM_PANEL·(first + p) + o, k]. For VLM_WEIGHT_BF16 `begin` is even.
typedef struct vlm_unpack_panels_args {
  vlm_weight_format format;
  int64_t outputs, inputs;
  const void *packed;
  int64_t first, count;
  float *y;
  int64_t y_stride;
} vlm_unpack_panels_args;
vlm_status vlm_unpack_panels(const vlm_unpack_panels_args *args, int64_t begin, int64_t end);

// Forms of activation rows that linear layers read instead of f32.
typedef enum vlm_row_format {
  // The first two lie in an order of their own where rows are many and features have VLM_ISA_AMX.
  VLM_ROWS_BF16 = 0,  // rounded to nearest even, zeros up to a multiple of 32
  VLM_ROWS_INT8 = 1,  // for each group its numbers q as int8, then their f32 scale (greatest |x| / 127), then i32 Σ q
  // For each 128 inputs, with zeros behind the last, their numbers q as int8 in 16s, each with what integer products with e2m1 begin with,
  // then their f32 scale (greatest |x| / 127).
  VLM_ROWS_INT8_BLOCKS = 2,
  // Codes as i16, zeros up to a multiple of 32, then for each 256 inputs their f32 scale (greatest |x| / 2895). A block with a number that is
  // not finite has the scale NaN, one whose numbers are all below 1e-30 the scale 0.
  VLM_ROWS_INT16_BLOCKS = 3,
} vlm_row_format;
enum { VLM_ROW_FORMATS = 4 };

// Bytes of one packed row, a multiple of 64; 0 for shapes that do not exist. `group` is a multiple of 16 that divides
// `inputs`, for VLM_ROWS_INT8 alone; VLM_ROWS_INT8_BLOCKS have a multiple of 16 inputs.
size_t vlm_row_bytes(vlm_row_format format, int64_t inputs, int64_t group);

typedef struct vlm_pack_activations_args {
  vlm_row_format format;
  int64_t rows, inputs, group;
  const float *x;  // [rows, inputs]
  int64_t x_stride;
  void *packed;    // rows of vlm_row_bytes each
} vlm_pack_activations_args;

// Packs rows [begin, end) for layers of as many rows on the same features.
vlm_status vlm_pack_activations(const vlm_pack_activations_args *args, int64_t begin, int64_t end, vlm_isa isa);

// Weight format and arithmetic of a linear layer.
typedef enum vlm_linear_kind {
  VLM_LINEAR_BF16_F32 = 0,   // bf16 weights, f32 arithmetic
  VLM_LINEAR_BF16_BF16 = 1,  // bf16 weights, rows packed as bf16, f32 sums (vdpbf16ps)
  VLM_LINEAR_F32_F32 = 2,    // f32 weights, f32 arithmetic
  VLM_LINEAR_INT4_F32 = 3,   // int4 weights dequantized, f32 arithmetic
  VLM_LINEAR_INT4_INT8 = 4,  // int4 weights, rows packed as int8, integer dots, f32 sums
  VLM_LINEAR_F8_F32 = 5,     // e4m3 weights times their scales, f32 arithmetic
  VLM_LINEAR_F4_F32 = 6,     // e2m1 weights times their scales, f32 arithmetic
  VLM_LINEAR_F8_BF16 = 7,    // e4m3 weights times their scales rounded to bf16, rows packed as bf16, f32 sums
  VLM_LINEAR_F4_INT8 = 8,    // e2m1 weights, rows packed as int8 in blocks of 128, integer dots; the same bits on every instruction set
  VLM_LINEAR_INT8_F32 = 9,   // 8-bit weights dequantized, f32 arithmetic
  VLM_LINEAR_INT8_INT8 = 10,  // 8-bit weights, rows packed as int8 in the same groups, integer dots; the same bits on every instruction set
  // bf16 weights rounded to i16 by output and 256 inputs (q = w · 2895 / greatest |w|, nearest even) while they are read, rows packed so
  // beforehand; integer dots of 256 inputs, whose f32 products with (row's scale · output's scale) are summed in order. The same bits on
  // every instruction set. An output with a weight that is not finite is NaN.
  VLM_LINEAR_BF16_INT16 = 11,
} vlm_linear_kind;
enum { VLM_LINEAR_KINDS = 12 };

// y[rows, outputs] = activation(x[rows, inputs] · W[outputs, inputs]ᵗ + bias[outputs]) + residual[rows, outputs].
// `bias` and `residual` may be NULL; `residual` may be `y` itself (same stride). y aliases nothing else.
typedef struct vlm_linear_args {
  vlm_linear_kind kind;
  vlm_activation activation;
  int64_t rows, inputs, outputs;
  int64_t group;         // of weights in blocks
  const float *x;        // [rows, inputs]; not read by kinds over packed rows
  int64_t x_stride;
  const void *packed;    // kinds over packed rows: rows of vlm_row_bytes each, 64-byte aligned; else NULL
  const void *weight;    // packed, 64-byte aligned
  const float *bias;
  const float *residual;
  int64_t residual_stride;
  float *y;
  int64_t y_stride;
  bool is_far;           // how weights are prefetched, which changes no result: see vlm_memory_is_far
  bool is_gated;         // y, [rows, outputs / 2], is activation(first half) · second half, both with their bias
} vlm_linear_args;

// The weight format that a kind reads.
vlm_weight_format vlm_linear_format(vlm_linear_kind kind);

// The name of the version that vlm_linear takes (op_types_tile_isa); NULL for an unknown kind.
const char *vlm_linear_version_name(vlm_linear_kind kind, vlm_isa isa);

// The form of rows that a kind reads; -1 for kinds that read f32.
int vlm_linear_rows(vlm_linear_kind kind);

// Bytes of scratch of one vlm_linear call, for any shape and kind.
size_t vlm_linear_scratch_bytes(void);

// Most rows that are computed together: with AMX, where unpacked weights are soon used up, and without.
enum { VLM_LINEAR_ROWS_AMX = 512, VLM_LINEAR_ROWS = 192 };

// Most rows that stream the weights once, from memory; more use the caches.
enum { VLM_LINEAR_FEW_ROWS = 24 };

// How many items a layer's work is: for each part of its rows vlm_panels(outputs), or half as many where the layer is gated, whose halves are whole
// panels.
int64_t vlm_linear_items(const vlm_linear_args *args, vlm_isa isa);

// Computes items [begin, end): a panel's outputs for some of the rows each, the panels of the same rows one after the other. Few rows stream the weights
// once from memory; of many, a part stays in the second cache beside some panels. Either way a row's result is the same bits, however many rows there are.
vlm_status vlm_linear(const vlm_linear_args *args, int64_t begin, int64_t end, void *scratch, vlm_isa isa);

// y[t] = norm(r[t]) with r = x + add (r = x if add is NULL), over rows of `columns`. r is also stored to `sum` unless that
// is NULL; `sum` may be x or add. y may be x (or sum).
typedef struct vlm_norm_args {
  int64_t columns;
  float eps;
  const float *x;
  int64_t x_stride;
  const float *add;
  int64_t add_stride;
  float *sum;
  int64_t sum_stride;
  const float *weight;  // [columns]; NULL: ones
  const float *bias;    // [columns]; NULL: zeros
  float *y;
  int64_t y_stride;
} vlm_norm_args;

// norm(r) = r / √(mean(r²) + eps) · weight + bias, for rows [begin, end).
void vlm_rms_norm(const vlm_norm_args *args, int64_t begin, int64_t end, vlm_isa isa);

// norm(r) = (r − mean(r)) / √(var(r) + eps) · weight + bias with the biased variance, for rows [begin, end).
void vlm_layer_norm(const vlm_norm_args *args, int64_t begin, int64_t end, vlm_isa isa);

// cos[t, i], sin[t, i] = scale · cos, sin(angle) with angle = f32(positions[axis[i], t]) · inv_freq[i] rounded to f32, as
// HF's rotary embeddings do. With more than one set, axis and inv_freq are so many lists behind each other, and an angle is the sum over
// them.
typedef struct vlm_rotary_table_args {
  int64_t pairs;             // D/2
  int64_t sets;              // 0 is 1
  const int32_t *positions;  // [axes, positions_stride]
  int64_t positions_stride;
  const int32_t *axis;       // [sets · pairs]; NULL: all 0
  const float *inv_freq;     // [sets · pairs]
  float scale;               // 1 unless the model scales its rotary table
  float *cos;                // [T, pairs]
  float *sin;
} vlm_rotary_table_args;
void vlm_rotary_table(const vlm_rotary_table_args *args, int64_t begin, int64_t end, vlm_isa isa);

// Rotates x[T, heads, head_dim]: with p = rotary_dim/2, y[i] = x[i]·cos[t,i] − x[i+p]·sin[t,i] and
// y[i+p] = x[i+p]·cos[t,i] + x[i]·sin[t,i] for i < p (NeoX halves); dims from rotary_dim on are copied. With more than one part
// each of them turns so by itself, by its share of the angles: two parts are two axes, p parts are neighbours. y may be x.
typedef struct vlm_rotary_args {
  int64_t heads, head_dim, rotary_dim;
  int64_t parts;  // a divisor of p; 0 is 1
  const float *x;
  int64_t x_stride;  // elements between tokens; heads are head_dim apart
  float *y;
  int64_t y_stride;
  const float *cos;  // [T, rotary_dim/2]
  const float *sin;
} vlm_rotary_args;
void vlm_rotary(const vlm_rotary_args *args, int64_t begin, int64_t end, vlm_isa isa);

// y[i] = activation(x[i]) for elements [begin, end). y may be x.
void vlm_activate(vlm_activation activation, const float *x, float *y, int64_t begin, int64_t end, vlm_isa isa);

// y[t, i] = activation(x[t, i]) · x[t, columns + i] for rows [begin, end): x is [T, 2·columns], gate first. SILU gives SwiGLU.
typedef struct vlm_gated_args {
  vlm_activation activation;
  int64_t columns;
  const float *x;
  int64_t x_stride;
  float *y;
  int64_t y_stride;
} vlm_gated_args;
void vlm_gated(const vlm_gated_args *args, int64_t begin, int64_t end, vlm_isa isa);

// y[i] = a[i] + b[i], or eˣ, for elements [begin, end). y may be an operand.
void vlm_add(const float *a, const float *b, float *y, int64_t begin, int64_t end, vlm_isa isa);
void vlm_exp(const float *x, float *y, int64_t begin, int64_t end, vlm_isa isa);

// y[r, i] = x[r, i] · w[r · w_stride + i · w_step] for rows [begin, end); a step or stride of 0 is one number for a row or a column.
// y may be x.
typedef struct vlm_scale_args {
  int64_t columns;
  const float *x;  // [R, columns]
  int64_t x_stride;
  const float *w;
  int64_t w_step, w_stride;
  float *y;
  int64_t y_stride;
} vlm_scale_args;
void vlm_scale(const vlm_scale_args *args, int64_t begin, int64_t end, vlm_isa isa);

// y[i] = f32(x[i]) for elements [begin, end) of bytes.
void vlm_u8_to_f32(const uint8_t *x, float *y, int64_t begin, int64_t end, vlm_isa isa);

// y[i] = f32 or bf16 (nearest even) of x[i] for elements [begin, end).
void vlm_bf16_to_f32(const uint16_t *x, float *y, int64_t begin, int64_t end, vlm_isa isa);
void vlm_f32_to_bf16(const float *x, uint16_t *y, int64_t begin, int64_t end, vlm_isa isa);

// Row copies by index over rows [begin, end) of `index`; indices outside the other side give VLM_BAD_INDEX.
// gather: y[t] = x[index[t]]. select: y[t] = index[t] < 0 ? a[t] : x[index[t]]; y may be a.
typedef struct vlm_rows_args {
  int64_t columns;
  const float *x;        // [x_rows, columns]
  int64_t x_rows, x_stride;
  const float *a;        // vlm_select_rows: [T, columns]
  int64_t a_stride;
  const int32_t *index;  // [T]
  float *y;
  int64_t y_stride;
} vlm_rows_args;
vlm_status vlm_gather_rows(const vlm_rows_args *args, int64_t begin, int64_t end, vlm_isa isa);
vlm_status vlm_select_rows(const vlm_rows_args *args, int64_t begin, int64_t end, vlm_isa isa);

// y[t, j] = x[t, index[j]] for rows [begin, end); an index outside x gives VLM_BAD_INDEX.
typedef struct vlm_columns_args {
  int64_t columns;
  const float *x;        // [T, x_columns]
  int64_t x_columns, x_stride;
  const int32_t *index;  // [columns]
  float *y;
  int64_t y_stride;
} vlm_columns_args;
vlm_status vlm_gather_columns(const vlm_columns_args *args, int64_t begin, int64_t end);

// y[t] = x[t] for rows [begin, end) of two matrices whose rows may lie apart.
typedef struct vlm_copy_rows_args {
  int64_t columns;
  const float *x;
  int64_t x_stride;
  float *y;
  int64_t y_stride;
} vlm_copy_rows_args;
void vlm_copy_rows(const vlm_copy_rows_args *args, int64_t begin, int64_t end, vlm_isa isa);

// y[t] = Σ_j w[t, j] · x[t · count + j] for rows [begin, end), summed in the order of j; all without gaps.
typedef struct vlm_blend_rows_args {
  int64_t columns, count;
  const float *w;  // [T, count]
  const float *x;  // [T · count, columns]
  float *y;
} vlm_blend_rows_args;
void vlm_blend_rows(const vlm_blend_rows_args *args, int64_t begin, int64_t end, vlm_isa isa);

// What choosing a token asks of a row of logits. All versions give the same bits: sums have fixed lanes and a fixed order, and no operation
// is fused, so that a seed's tokens do not depend on the processor.
enum { VLM_SAMPLING_CHUNK = 1024, VLM_SAMPLING_BLOCK = 64 };

// The first index of the greatest number in x[count]; NaN is passed over. −1 where there is no number.
int64_t vlm_first_greatest(const float *x, int64_t count, vlm_isa isa);

// y[b] = the greatest number of x[VLM_SAMPLING_BLOCK·b ..< VLM_SAMPLING_BLOCK·(b + 1)]; −∞ where there is none.
void vlm_block_greatest(const float *x, int64_t count, float *y, vlm_isa isa);

// Writes the indices i of x[i] ≥ least, ascending, to `indices`, which has room for `count`; returns how many there are.
int64_t vlm_at_least(const float *x, int64_t count, float least, int32_t *indices, vlm_isa isa);

// y[i] = w where w ≥ least, else 0, with w = e^((x[i] − top) / temperature) where x[i] ≥ limit, else 0; 0 for NaN. Weights below e^−87
// are 0, others within 2 ulp. top is finite and the greatest of x. sums[c] = Σ y of chunk c, in f32: top + log Σ e^(x − top) is the
// log-sum-exp of a row at temperature 1. y may be x, or NULL where sums alone are wanted.
typedef struct vlm_sampling_weights_args {
  int64_t count;
  const float *x;
  float top, temperature, limit, least;
  float *y;
  float *sums;  // [vlm_sampling_chunks(count)]
} vlm_sampling_weights_args;
int64_t vlm_sampling_chunks(int64_t count);

// Computes chunks [begin, end) of VLM_SAMPLING_CHUNK elements.
void vlm_sampling_weights(const vlm_sampling_weights_args *args, int64_t begin, int64_t end, vlm_isa isa);

typedef enum vlm_rate {
  VLM_RATE_READ = 0,      // memory reads; one iteration is one pass over `bytes`
  VLM_RATE_F32_FMA = 1,   // f32 multiply-adds
  VLM_RATE_BF16_DOT = 2,  // vdpbf16ps; needs VLM_ISA_AVX512_BF16
  VLM_RATE_INT8_DOT = 3,  // vpdpbusd or sdot; needs VLM_ISA_AVX512_VNNI, VLM_ISA_AVX_VNNI or VLM_ISA_NEON_DOT
  VLM_RATE_INT8_PAIRS = 4,   // vpmaddubsw and a sum in 16 bits; needs VLM_ISA_AVX2
  VLM_RATE_INT16_PAIRS = 5,  // vpmaddwd and a sum in 32 bits; needs VLM_ISA_AVX2
  VLM_RATE_INT16_DOT = 6,    // vpdpwssd; needs VLM_ISA_AVX512_VNNI or VLM_ISA_AVX_VNNI
  VLM_RATE_INT8_TILES = 7,   // tdpbssd; needs VLM_ISA_AMX
  VLM_RATE_BF16_TILES = 8,   // tdpbf16ps; needs VLM_ISA_AMX
} vlm_rate;
enum { VLM_RATES = 9 };

// Bytes read, or operations (a multiply and an add are two), in one iteration; 0 if `isa` cannot run it.
double vlm_rate_work(vlm_rate rate, size_t bytes, vlm_isa isa);

// Runs `iterations` on the calling thread; `buffer` (VLM_RATE_READ only) is 64-byte aligned, `bytes` a multiple of 512.
// Returns a value that depends on all results.
uint64_t vlm_rate_run(vlm_rate rate, int64_t iterations, const void *buffer, size_t bytes, vlm_isa isa);

#ifdef __cplusplus
}
#endif
#endif
