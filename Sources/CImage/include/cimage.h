#ifndef CIMAGE_H
#define CIMAGE_H

#include <stddef.h>
#include <stdint.h>

// Decoders. Each fills `rgb` with exactly `width * height * 3` bytes, rows top to bottom, red first. The caller read
// width and height from the header and allocated the buffer; a file that decodes to another size is corrupt.
// Errors come back as a status and a message; no jump leaves a function.

typedef enum {
    CIMAGE_OK = 0,
    CIMAGE_CORRUPT = 1,
    CIMAGE_TRUNCATED = 2,
    CIMAGE_UNSUPPORTED = 3,
    CIMAGE_NO_MEMORY = 4,
    CIMAGE_STOPPED = 5,
} cimage_status;

// Asked while an image is decoded, before about `pixels` more pixels are touched; zero ends it with CIMAGE_STOPPED.
typedef struct {
    int (*proceeds)(void *context, size_t pixels);
    void *context;
} cimage_watch;

// What a decoder is told and where it writes.
typedef struct {
    uint32_t width, height;
    uint8_t *rgb;
    int drops_alpha;       // else images with alpha are composited on white
    cimage_watch watch;
    char message[256];     // NUL-terminated; empty after CIMAGE_OK
} cimage_target;

// JPEG by libjpeg: gray, YCbCr, RGB, CMYK and YCCK (stored inverted, as Adobe does), baseline and progressive.
cimage_status cimage_decode_jpeg(const uint8_t *data, size_t size, cimage_target *target);

// PNG by libpng: every colour type and depth; alpha may come from tRNS; 16-bit samples lose their low byte.
cimage_status cimage_decode_png(const uint8_t *data, size_t size, cimage_target *target);

// WebP by libwebp: lossy, lossless, with alpha; the first frame of an animation on its canvas, which is transparent, or
// black where the file has no alpha.
cimage_status cimage_decode_webp(const uint8_t *data, size_t size, cimage_target *target);

// GIF by giflib: the first frame on its canvas, which is transparent, or of the first colour where none is transparent.
cimage_status cimage_decode_gif(const uint8_t *data, size_t size, cimage_target *target);

// BMP: 1, 4, 8, 16, 24 and 32 bits, run-length coded, with masks of whole bytes, either way up.
cimage_status cimage_decode_bmp(const uint8_t *data, size_t size, cimage_target *target);

// The first page of a TIFF file by libtiff, which is opened when it is first needed: gray, RGB, palette and CMYK of 1 to 16
// bits, alpha, strips and tiles, planes together or apart; 16-bit samples lose their low byte. Uncompressed or by PackBits, LZW,
// Deflate, JPEG or CCITT's fax codes.
cimage_status cimage_decode_tiff(const uint8_t *data, size_t size, cimage_target *target);

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
    const int16_t *weights16; // the same weights where all fit 16 bits, or a 256th of them rounded down; NULL where that does not fit
    const int16_t *rest16;    // what the 256th leaves, from 0 to 255; NULL where the weights fit
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

// Copies a square of `patch` x `patch` RGB pixels whose rows are `stride` bytes apart to `out`, [patch, patch] bytes of each channel,
// which begin `plane` bytes apart.
void cimage_cut_patch(const uint8_t *rgb, int64_t stride, int64_t patch, int64_t plane, uint8_t *out);

#endif
