// Linear layers with f32 arithmetic for many rows: weights are unpacked to f32 block by block and reused by all rows.

enum { LINEAR_F32_INPUTS = 512 };  // inputs whose unpacked weights fit LINEAR_WEIGHTS

// `next` are the packed weights that come after, `bytes` of them.
static void multiply_block(const vlm_linear_args *a, const linear_block *b, const float *w, const void *next, int64_t bytes) {
  const float *x = a->x + b->k;
  for (int n = 0; n < VLM_PANEL; n += 2 * V_WIDTH)
    for (int64_t t = 0; t < a->rows; t += GEMM_ROWS) {
      if (n == 0) linear_prefetch(a, next, bytes, t, GEMM_ROWS);
      gemm_tile g = {.k = b->k_count, .a = x + t * a->x_stride, .a_stride = a->x_stride, .b = w + n, .b_stride = VLM_PANEL,
                     .c = b->sums + t * VLM_PANEL + n, .c_stride = VLM_PANEL, .accumulate = b->accumulate};
      gemm(&g, vlm_min(GEMM_ROWS, a->rows - t), 2);
    }
}

static void block_f32(const vlm_linear_args *a, const linear_block *b) {
  const float *w = (const float *)a->weight + (b->panel * a->inputs + b->k) * VLM_PANEL;
  multiply_block(a, b, w, w + a->inputs * VLM_PANEL, b->k_count * VLM_PANEL * (int64_t)sizeof *w);
}

// Pairs of bf16 inputs → rows of f32.
static void block_bf16(const vlm_linear_args *a, const linear_block *b) {
  const uint32_t *w = (const uint32_t *)a->weight + (b->panel * vlm_ceil_div(a->inputs, 2) + b->k / 2) * VLM_PANEL;
  const uint32_t *next = w + vlm_ceil_div(a->inputs, 2) * VLM_PANEL;
  float *y = b->weights;
  for (int64_t k = 0; k < b->k_count; k += 2, w += VLM_PANEL, y += 2 * VLM_PANEL)
    for (int n = 0; n < VLM_PANEL; n += V_WIDTH) {
      v_f32 even, odd;
      v_pair_bf16(w + n, &even, &odd);
      v_store(y + n, even);
      v_store(y + VLM_PANEL + n, odd);
    }
  multiply_block(a, b, b->weights, next, b->k_count / 2 * VLM_PANEL * (int64_t)sizeof *w);
}

// int4 blocks → rows of f32 (q − zero) · scale.
static void block_int4(const vlm_linear_args *a, const linear_block *b) {
  size_t bytes = vlm_int4_block_bytes(a->group);
  const uint8_t *w = (const uint8_t *)a->weight + (size_t)(b->panel * (a->inputs / a->group) + b->k / a->group) * bytes;
  const uint8_t *next = w + bytes * (size_t)(a->inputs / a->group);
  float *y = b->weights;
  for (int64_t k = 0; k < b->k_count; k += a->group, w += bytes) {
    const uint16_t *tail = (const uint16_t *)(w + a->group * VLM_PANEL / 2);
    for (int n = 0; n < VLM_PANEL; n += V_WIDTH) {
      v_f32 scale = v_from_f16(tail + n), zero = v_from_f16(tail + VLM_PANEL + n);
      for (int64_t step = 0; step < a->group; step += 8)
#pragma clang loop unroll(full)
        for (int j = 0; j < 8; j++) {
          v_f32 q = v_nibbles(w + step / 8 * (VLM_PANEL * 4) + n * 4, j);
          v_store(y + (k + step + j) * VLM_PANEL + n, v_mul(v_sub(q, zero), scale));
        }
    }
  }
  multiply_block(a, b, b->weights, next, b->k_count / a->group * (int64_t)bytes);
}

// 8-bit blocks → rows of f32 (code − zero) · scale.
static void block_int8(const vlm_linear_args *a, const linear_block *b) {
  const int64_t bytes = vlm_int8_block_bytes(a->group);
  const uint8_t *panel = (const uint8_t *)a->weight + (size_t)b->panel * vlm_panel_bytes(VLM_WEIGHT_INT8, a->inputs, a->group);
  float *y = b->weights;
  for (int64_t k = b->k, count; k < b->k + b->k_count; k += count) {
    const int64_t offset = k % a->group;
    const uint8_t *block = panel + k / a->group * bytes, *step = block + offset * VLM_PANEL;
    const vlm_int8_tail *tail = (const vlm_int8_tail *)(block + a->group * VLM_PANEL);
    count = vlm_min(a->group - offset, b->k + b->k_count - k);
    for (int64_t i = 0; i < count; i += 4, step += 4 * VLM_PANEL, y += 4 * VLM_PANEL)
      for (int n = 0; n < VLM_PANEL; n += V_WIDTH) {
        v_f32 scale = v_load(tail->scale + n), zero = v_from_u16(tail->zero + n);
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) v_store(y + j * VLM_PANEL + n, v_mul(v_sub(v_bytes(step + 4 * n, j), zero), scale));
      }
  }
  const uint8_t *next = panel + vlm_panel_bytes(VLM_WEIGHT_INT8, a->inputs, a->group);
  multiply_block(a, b, b->weights, next + b->k * VLM_PANEL, b->k_count * VLM_PANEL);
}
