// The weights of linear layers with integer dots: codes of four bits in steps of 8 inputs, and scales of groups.

typedef enum { INT4, MXFP4, NVFP4 } code_kind;

enum { STEP_BYTES = VLM_PANEL * 4, THIN_INPUTS = VLM_F4_BLOCK };

// Groups of one panel, from the first on.
typedef struct {
  const uint8_t *codes;
  const uint8_t *scales;          // an int4 block's scales and zeros; else scales of one byte
  const float *outputs;           // output scales, where the groups' are of one byte
  int64_t code_step, scale_step;  // bytes from a group to the next of the block
  int64_t group;
} code_groups;

static code_kind kind_of(const vlm_linear_args *a) { return a->kind == VLM_LINEAR_INT4_INT8 ? INT4 : a->group == 32 ? MXFP4 : NVFP4; }

static code_groups groups_at(const vlm_linear_args *a, int64_t panel, int64_t k) {
  const vlm_weight_format format = vlm_linear_format(a->kind);
  const uint8_t *first = (const uint8_t *)a->weight + (size_t)panel * vlm_panel_bytes(format, a->inputs, a->group);
  code_groups w = {.group = a->group};
  if (format == VLM_WEIGHT_INT4) {
    w.code_step = w.scale_step = (int64_t)vlm_int4_block_bytes(a->group);
    w.codes = first + k / a->group * w.code_step;
    w.scales = w.codes + a->group * VLM_PANEL / 2;
  } else {
    w.code_step = a->group / 8 * STEP_BYTES;
    w.scale_step = VLM_PANEL;
    w.codes = first + vlm_f4_codes_at(k, a->group);
    w.scales = first + vlm_f4_scales_at(k, a->group);
    w.outputs = (const float *)first;
  }
  return w;
}

// From group g of a run that begins with a block to the next.
VLM_INLINE void next_group(code_groups *w, int64_t g, const code_kind kind) {
  const int64_t per_block = VLM_F4_BLOCK / (kind == NVFP4 ? 16 : 32);
  w->codes += w->code_step;
  w->scales += w->scale_step;
  if (kind == INT4 || (g + 1) % per_block != 0) return;
  w->codes += per_block * VLM_PANEL;
  w->scales += VLM_F4_BLOCK / 8 * STEP_BYTES;
}

// Scales of a vector of outputs, the first of them `o`.
VLM_INLINE v_f32 group_scales(const code_groups *w, const uint8_t *scales, const int o, const code_kind kind) {
  if (kind == INT4) return v_from_f16((const uint16_t *)scales + o);
  return v_mul(v_scales_f4(scales + o, kind == NVFP4), v_load(w->outputs + o));
}

// Activations: where the first row's group of input k begins; rows lie `i8_stride` bytes apart.
static int64_t i8_stride(const vlm_linear_args *a) { return (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group); }
static const char *i8_rows(const vlm_linear_args *a, int64_t row, int64_t k) {
  return (const char *)a->packed + row * i8_stride(a) + k / a->group * vlm_i8_group_bytes(a->group);
}

// Twice the e2m1 numbers, plus VLM_I8_CENTRE.
#define TWICE_F4 16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4

static void clear_sums(const linear_block *b) {
  if (!b->accumulate) __builtin_memset(b->sums, 0, (size_t)(b->rows * VLM_PANEL) * sizeof(float));
}

// A run of groups for the rows of a tile.
typedef struct {
  const char *x;      // the first row's first group
  int64_t x_stride;   // bytes between rows
  code_groups w;
  const uint8_t *u8;  // many rows: the groups' codes as u8 [inputs/4][VLM_PANEL][4]
  int64_t groups;
  int64_t ahead;      // few rows: bytes from a weight to the one to prefetch meanwhile; 0: none
} tile_run;

typedef void tile_fn(const tile_run *run, float *sums);
