#include "screen.h"

vlm_screen_fn vlm_screen_int8_generic, vlm_screen_int8_avx2, vlm_screen_int8_avxvnni, vlm_screen_int8_avx512vnni, vlm_screen_int8_neon,
    vlm_screen_int8_neondot;

// Versions, the last whose features the machine has being taken.
static const struct { vlm_isa features; vlm_screen_fn *run; const char *name; } versions[] = {
    {0, vlm_screen_int8_generic, "vlm_screen_int8_generic"},
#if VLM_X86_64
    {VLM_FEATURES_AVX2, vlm_screen_int8_avx2, "vlm_screen_int8_avx2"},
    {VLM_FEATURES_AVX_VNNI, vlm_screen_int8_avxvnni, "vlm_screen_int8_avxvnni"},
    {VLM_FEATURES_VNNI, vlm_screen_int8_avx512vnni, "vlm_screen_int8_avx512vnni"},
#elif VLM_AARCH64
    {VLM_FEATURES_NEON, vlm_screen_int8_neon, "vlm_screen_int8_neon"},
    {VLM_FEATURES_NEON_DOT, vlm_screen_int8_neondot, "vlm_screen_int8_neondot"},
#endif
};

static size_t version(vlm_isa isa) {
  size_t best = 0;
  for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
    if (vlm_has(isa, versions[i].features)) best = i;
  return best;
}

const char *vlm_screen_version_name(vlm_isa isa) { return versions[version(isa)].name; }

vlm_status vlm_screen(const vlm_screen_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  if (a->rows < 0 || vlm_weight_bytes(VLM_WEIGHT_SCREEN, a->outputs, a->inputs, 0) == 0) return VLM_BAD_SHAPE;
  if (begin >= end || a->rows == 0) return VLM_OK;
  if (begin < 0 || end > vlm_panels(a->outputs)) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(a->weight) || !vlm_is_aligned(a->coded)) return VLM_BAD_ALIGNMENT;
  versions[version(isa)].run(a, begin, end);
  return VLM_OK;
}

static float magnitude(float x) { return x < 0 ? -x : x; }

// The k-th largest of `count` numbers: the root of a heap of the k largest so far, the least on top.
static float kth_largest(const float *values, int64_t count, int64_t k) {
  float heap[VLM_SCREEN_WANTED];
  for (int64_t i = 0; i < k; i++) heap[i] = -__builtin_inff();
  for (int64_t i = 0; i < count; i++) {
    if (!(values[i] > heap[0])) continue;
    int64_t parent = 0;
    for (int64_t child = 1; child < k; child = 2 * parent + 1) {
      if (child + 1 < k && heap[child + 1] < heap[child]) child++;
      if (!(heap[child] < values[i])) break;
      heap[parent] = heap[child];
      parent = child;
    }
    heap[parent] = values[i];
  }
  return heap[0];
}

int64_t vlm_screen_choose(const vlm_screen_choice *a) {
  for (int64_t row = 0; row < a->rows; row++)
    if (a->wanted[row] > VLM_SCREEN_WANTED) return -1;
  for (int64_t p = 0; p < a->panels; p++) a->chosen[p] = 0;
  for (int64_t row = 0; row < a->rows; row++) {
    if (a->wanted[row] < 1) continue;
    float last = kth_largest(a->lower + row * a->panels, a->panels, a->wanted[row]) - a->reach[row];
    float limit = last - magnitude(last) * 0x1p-22f;
    const float *upper = a->upper + row * a->panels;
    // A limit that is no number leaves nothing out.
    for (int64_t p = 0; p < a->panels; p++) a->chosen[p] |= !(upper[p] < limit);
  }
  int64_t count = 0;
  for (int64_t p = 0; p < a->panels; p++)
    if (a->chosen[p]) a->chosen[count++] = (int32_t)p;
  return count;
}
