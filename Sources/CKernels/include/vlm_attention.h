// Attention over the paged cache and inside segments; the charter of `vlm_kernels.h` holds.
#ifndef VLM_ATTENTION_KERNELS_H
#define VLM_ATTENTION_KERNELS_H

#include "vlm_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// Geometry of the paged storage of one layer. In f32 a block of K is [kv_heads][head_dim][block_size] (transposed: tokens are contiguous), a block
// of V is [kv_heads][block_size][head_dim]. In bf16 two rows of either lie in pairs, as products of bf16 read them: K is
// [kv_heads][head_dim / 2][block_size][2], V is [kv_heads][block_size / 2][head_dim][2]. Token slot s lies in block s / block_size.
typedef struct vlm_kv_layout {
  vlm_dtype dtype;       // VLM_F32 or VLM_BF16
  int64_t kv_heads, head_dim;  // head_dim even in bf16
  int64_t block_size;    // tokens per block: 16, 32, 64, 128 (a multiple of 16, at most 256)
  int64_t block_stride;  // elements from block to block, the same for K and V
  int64_t head_stride;   // elements from head to head in a block, usually head_dim · block_size
} vlm_kv_layout;

// Writes tokens [begin, end) of k, v [T, kv_heads, head_dim] to their slots. Slot −1 skips a token. Slots outside
// 0..<blocks·block_size give VLM_BAD_INDEX (earlier tokens are then written).
typedef struct vlm_kv_write_args {
  vlm_kv_layout layout;
  int64_t blocks;
  const float *k;
  int64_t k_stride;
  const float *v;
  int64_t v_stride;
  const int32_t *slots;  // [T]
  void *k_cache;
  void *v_cache;
} vlm_kv_write_args;
vlm_status vlm_kv_write(const vlm_kv_write_args *args, int64_t begin, int64_t end, vlm_isa isa);

// Causal attention of ragged query runs over the paged cache: softmax(scale · q·kᵗ)·v, f32 arithmetic, online softmax. On
// VLM_ISA_AVX512_BF16 with a bf16 cache the scaled queries and the exponentials are rounded to bf16 for the products; sums are f32.
// Sequence s has query rows query_start[s] ..< query_start[s] + query_count[s] and context_length[s] tokens in the cache,
// its own queries included: query i sees the first context_length − query_count + i + 1. Query head h reads kv head
// h / (heads / kv_heads). Sequences with query_count 0 are skipped. With a window a query sees only the last `window` of those;
// with `reach` also the keys behind itself up to position reach[row], which the cache must have.
typedef struct vlm_paged_attention_args {
  vlm_kv_layout layout;
  int64_t blocks;                 // blocks in storage; table entries are checked against it
  int64_t heads;                  // query heads, a multiple of layout.kv_heads
  float scale;
  float softcap;                  // scores become softcap · tanh(score / softcap); 0: they stay
  int64_t window;                 // keys up to the query's own that it sees; 0: all
  const int32_t *reach;           // [T] positions, at least the query's own and in the cache; NULL: the query's own
  int64_t sequences;
  const int32_t *query_start;     // [sequences]
  const int32_t *query_count;     // [sequences]
  const int32_t *context_length;  // [sequences]
  const int32_t *block_table;     // [sequences, table_stride] block numbers
  int64_t table_stride;
  const float *q;                 // [T, heads, head_dim]
  int64_t q_stride;
  float *y;                       // [T, heads, head_dim]; may be q
  int64_t y_stride;
  const void *k_cache;
  const void *v_cache;
  float *partials;                // room for what chunks of a context give, 64-aligned; NULL: no context is split
  int64_t partial_count;          // of vlm_paged_partial_bytes each
} vlm_paged_attention_args;

// A context is summed in chunks of fixed length from position 0, which are then merged in their order: a row's bits depend
// neither on how work is cut nor on whether its context is split. Split is a context of several chunks whose partials (query rows ·
// heads · chunks) fit: its chunks are items of their own, and vlm_paged_attention_merge, once all items are done, makes y of them.

// Number of work items: (sequence, kv head, query tile), and chunk where the context is split.
int64_t vlm_paged_attention_items(const vlm_paged_attention_args *args);

// Number of rows to merge: (sequence, query, head) of the contexts that are split.
int64_t vlm_paged_attention_merges(const vlm_paged_attention_args *args);

// Bytes of one partial.
size_t vlm_paged_partial_bytes(const vlm_kv_layout *layout);

// Bytes of scratch of one vlm_paged_attention call.
size_t vlm_paged_attention_scratch_bytes(const vlm_kv_layout *layout, int64_t heads);

// Computes work items [begin, end).
vlm_status vlm_paged_attention(const vlm_paged_attention_args *args, int64_t begin, int64_t end, void *scratch, vlm_isa isa);

// Merges rows [begin, end) of vlm_paged_attention_merges; once for each, of arguments that vlm_paged_attention took.
vlm_status vlm_paged_attention_merge(const vlm_paged_attention_args *args, int64_t begin, int64_t end, vlm_isa isa);

// What the products of attention inside segments are of.
typedef enum vlm_products { VLM_PRODUCTS_F32 = 0, VLM_PRODUCTS_BF16 = 1, VLM_PRODUCTS_INT16 = 2 } vlm_products;

// Full (not causal) attention inside segments: query rows offsets[s] ..< offsets[s+1] see the key rows key_offsets[s] ..<
// key_offsets[s+1]; where there are none, y is 0. For products of bf16 scaled queries, keys, values and exponentials are rounded to bf16;
// sums are f32. For those of int16 queries and keys are rounded to whole multiples of their greatest magnitude / √(2³¹ / head_dim), and of
// 128 keys values, channel by channel, to such of the greatest / 1023 and exponentials to such of the greatest / 16383; sums over a head and
// over 128 keys are integers, so that without a softcap every instruction set gives the same bits.
typedef struct vlm_segment_attention_args {
  int64_t heads, kv_heads, head_dim;
  vlm_products products;
  float scale;
  float softcap;           // as in vlm_paged_attention_args
  int64_t segments;
  const int32_t *offsets;  // [segments + 1], ascending
  const int32_t *key_offsets;  // [segments + 1], ascending; NULL: as offsets
  const float *q;          // [P, heads, head_dim]
  int64_t q_stride;
  const float *k;          // [R, kv_heads, head_dim]
  int64_t k_stride;
  const float *v;
  int64_t v_stride;
  float *y;                // [P, heads, head_dim]; aliases none of q, k, v
  int64_t y_stride;
} vlm_segment_attention_args;

// Number of work items: (segment, head, query tile).
int64_t vlm_segment_attention_items(const vlm_segment_attention_args *args);

// Bytes of scratch of one vlm_segment_attention call.
size_t vlm_segment_attention_scratch_bytes(int64_t head_dim);

// Computes work items [begin, end).
vlm_status vlm_segment_attention(const vlm_segment_attention_args *args, int64_t begin, int64_t end, void *scratch, vlm_isa isa);

#ifdef __cplusplus
}
#endif
#endif
