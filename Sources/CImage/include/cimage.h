#ifndef CIMAGE_H
#define CIMAGE_H

#include <stddef.h>
#include <stdint.h>

// Decoders. Each fills `rgb` with exactly `width * height * 3` bytes, rows top to bottom, red first. The caller read
// width and height from the header and allocated the buffer; a file that decodes to another size is corrupt.
// Errors come back as a status and a message of at most `capacity` bytes, NUL included; no jump leaves a function.

typedef enum {
    CIMAGE_OK = 0,
    CIMAGE_CORRUPT = 1,
    CIMAGE_TRUNCATED = 2,
    CIMAGE_UNSUPPORTED = 3,
    CIMAGE_NO_MEMORY = 4,
    CIMAGE_STOPPED = 5,
} cimage_status;

// Asked while a picture is decoded, before about `pixels` more pixels are touched; zero ends it with CIMAGE_STOPPED.
typedef struct {
    int (*proceeds)(void *context, size_t pixels);
    void *context;
} cimage_watch;

// JPEG by libjpeg: gray, YCbCr, RGB, CMYK and YCCK (stored inverted, as Adobe does), baseline and progressive.
cimage_status cimage_decode_jpeg(const uint8_t *data, size_t size, uint32_t width, uint32_t height, uint8_t *rgb,
                                 cimage_watch watch, char *message, size_t capacity);

// PNG by libpng: every colour type and depth; alpha and tRNS are composited on white; 16-bit samples lose their low byte.
cimage_status cimage_decode_png(const uint8_t *data, size_t size, uint32_t width, uint32_t height, uint8_t *rgb,
                                cimage_watch watch, char *message, size_t capacity);

// The text of a zlib stream by libpng, at most `capacity` bytes of it; returns their count, zero where it is damaged.
size_t cimage_inflate_text(const uint8_t *stream, size_t size, uint8_t *text, size_t capacity);

// Composites `count` RGBA pixels on white into RGB; source and target may start at the same address.
void cimage_composite_on_white(const uint8_t *rgba, uint8_t *rgb, size_t count);

// Fixed-point resampling of one axis: output i is the sum of `stride` weights from `weights + i * stride` (zero behind
// `counts[i]`) times the inputs from `starts[i]` on, rounded at `precision` bits and clamped to a byte.
typedef struct {
    const int32_t *starts;
    const int32_t *counts;
    const int32_t *weights;
    const int16_t *weights16; // the same weights where all fit 16 bits, else NULL
    int32_t stride;           // a multiple of 4
    int32_t precision;
    int32_t size_in;
    int32_t size_out;
} cimage_axis;

typedef enum { CIMAGE_GENERIC = 0, CIMAGE_AVX2 = 1 } cimage_isa;

// The best instruction set of this machine that the resize knows.
cimage_isa cimage_detect_isa(void);

// Horizontal pass over one row of RGB pixels.
void cimage_resize_row(const uint8_t *in, uint8_t *out, const cimage_axis *axis, cimage_isa isa);

// Vertical pass for output row `y`: input row r of `bytes` bytes lies at `rows + (r % ring) * bytes`.
void cimage_resize_column(const uint8_t *rows, int64_t ring, int64_t bytes, uint8_t *out, const cimage_axis *axis,
                          int32_t y, cimage_isa isa);

// Copies a square of `patch` x `patch` RGB pixels whose rows are `stride` bytes apart to `out`, [3, patch, patch] bytes.
void cimage_cut_patch(const uint8_t *rgb, int64_t stride, int64_t patch, uint8_t *out);

#endif
