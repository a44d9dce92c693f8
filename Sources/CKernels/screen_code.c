#include "math_scalar.h"
#include "screen.h"

// Norms are computed in f64, whose own rounding this covers, and that to f32 too.
static float rounded_up(double norm) { return (float)(norm * (1 + 0x1p-20)); }
static double square_root(double x) { return __builtin_elementwise_sqrt(x); }

// The nearest whole number, ties to even, of |x| < 2⁵¹.
static double nearest(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

static double magnitude(double x) { return x < 0 ? -x : x; }

// Beyond these, numbers are not coded: sums of products would overflow, or scales lose digits.
static const double LARGEST = 0x1p50, SMALLEST = 0x1p-100;

// What the least numbers of f32 may add to an error for each input, and for each input and unit of ‖x‖.
static const double LEAST = 0x1p-96;

size_t vlm_screen_row_bytes(int64_t inputs) {
  return inputs <= 0 || inputs > VLM_SCREEN_INPUTS ? 0 : (size_t)vlm_screen_row_stride(inputs);
}

// The number that bf16 panels have of a weight; 0 of a row that is padding.
static double weight_value(vlm_dtype type, const void *row, int64_t k) {
  if (!row) return 0;
  float value = 0;
  switch (type) {
    case VLM_F32: value = ((const float *)row)[k]; break;
    case VLM_BF16: return vlm_from_bf16(((const uint16_t *)row)[k]);
    case VLM_F16: value = vlm_from_f16(((const uint16_t *)row)[k]); break;
  }
  return vlm_from_bf16(vlm_to_bf16(value));
}

void vlm_screen_pack_output(void *panel, int64_t lane, vlm_dtype type, const void *row, int64_t inputs) {
  uint8_t *codes = (uint8_t *)panel + lane * 4;
  vlm_screen_tail *tail = (vlm_screen_tail *)((char *)panel + vlm_screen_steps(inputs) * VLM_SCREEN_STEP);
  double greatest = 0, error = 0, norm = 0;
  bool finite = true;
  for (int64_t k = 0; k < inputs; k++) {
    double value = magnitude(weight_value(type, row, k));
    finite = finite && value <= LARGEST;
    if (value > greatest) greatest = value;
  }
  float scale = finite && greatest >= SMALLEST ? (float)(greatest / 127) : 0;
  for (int64_t k = 0; k < vlm_screen_steps(inputs) * 4; k++) {
    double value = k < inputs && finite ? weight_value(type, row, k) : 0, q = scale > 0 ? nearest(value / scale) : 0;
    q = q > 127 ? 127 : q < -127 ? -127 : q;
    codes[k / 4 * VLM_SCREEN_STEP + k % 4] = (uint8_t)((int)q + VLM_SCREEN_CENTRE);
    error += (value - q * scale) * (value - q * scale);
    norm += q * scale * (q * scale);
  }
  tail->scale[lane] = scale;
  tail->error[lane] = finite ? rounded_up(square_root(error)) : __builtin_inff();
  tail->norm[lane] = rounded_up(square_root(norm));
}

// A row's greatest number, as two digits.
enum { GREATEST_CODE = (VLM_SCREEN_DIGIT / 2 - 1) * (VLM_SCREEN_DIGIT + 1) };

static double input_value(const vlm_screen_args *a, int64_t row, int64_t k, vlm_isa isa) {
  if (!a->packed) return a->x[row * a->x_stride + k];
  return vlm_from_bf16(((const uint16_t *)a->packed)[vlm_bf16_at(a->rows, a->inputs, row, k, isa)]);
}

// The greatest magnitude, or what is above LARGEST where a number is not finite; adds up the squares.
static double measure(const vlm_screen_args *a, int64_t row, double *squares, vlm_isa isa) {
  double greatest = 0;
  bool finite = true;
  for (int64_t k = 0; k < a->inputs; k++) {
    double value = input_value(a, row, k, isa);
    finite = finite && magnitude(value) <= LARGEST;
    if (magnitude(value) > greatest) greatest = magnitude(value);
    *squares += value * value;
  }
  return finite ? greatest : 2 * LARGEST;
}

static void code_row(const vlm_screen_args *a, int64_t row, vlm_isa isa) {
  char *coded = (char *)a->coded + row * vlm_screen_row_stride(a->inputs);
  int8_t *bytes = (int8_t *)coded + 64;
  double squares = 0, errors = 0, greatest = measure(a, row, &squares, isa);
  bool finite = greatest <= LARGEST;
  vlm_screen_head head = {.scale = finite && greatest >= SMALLEST ? (float)(greatest / GREATEST_CODE) : 0};
  double inverse = head.scale > 0 ? 1 / (double)head.scale : 0;
  for (int64_t k = 0; k < vlm_screen_steps(a->inputs) * 4; k++) {
    double value = k < a->inputs && finite ? input_value(a, row, k, isa) : 0, q = nearest(value * inverse);
    int32_t code = (int32_t)q, high = (code + VLM_SCREEN_DIGIT / 2) >> VLM_SCREEN_DIGIT_BITS, low = code - high * VLM_SCREEN_DIGIT;
    bytes[k / 4 * 8 + k % 4] = (int8_t)high;
    bytes[k / 4 * 8 + 4 + k % 4] = (int8_t)low;
    head.high_sum += high;
    head.low_sum += low;
    errors += (value - q * head.scale) * (value - q * head.scale);
  }
  double rounding = (double)(2 * a->inputs + 256) * 0x1p-24, norm = square_root(squares), error = square_root(errors);
  head.error_of_weight = finite ? rounded_up(norm * (1 + rounding) + 0x1p-100) : 1;
  head.norm_of_weight = finite ? rounded_up(error + (norm + error) * rounding) : 1;
  head.floor = finite ? rounded_up((double)a->inputs * LEAST * (1 + norm)) : __builtin_inff();
  __builtin_memset(coded, 0, 64);
  __builtin_memcpy(coded, &head, sizeof head);
}

vlm_status vlm_screen_code(const vlm_screen_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  if (vlm_screen_row_bytes(a->inputs) == 0 || begin < 0 || end > a->rows || (!a->x && !a->packed)) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(a->packed) || !vlm_is_aligned(a->coded)) return VLM_BAD_ALIGNMENT;
  for (int64_t row = begin; row < end; row++) code_row(a, row, isa);
  return VLM_OK;
}
