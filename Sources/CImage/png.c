#include "decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

typedef struct {
    const uint8_t *data;
    size_t remaining;
    cimage_status status;
    char text[200];
    jmp_buf escape;
    cimage_watch watch;
} reader;

static void on_error(png_structp png, png_const_charp text) {
    reader *state = png_get_error_ptr(png);
    if (state->status == CIMAGE_OK) state->status = CIMAGE_CORRUPT;
    snprintf(state->text, sizeof state->text, "%s", text);
    longjmp(state->escape, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep target, size_t count) {
    reader *state = png_get_io_ptr(png);
    if (count > state->remaining) {
        state->status = CIMAGE_TRUNCATED;
        png_error(png, "the file ends inside the image");
    }
    memcpy(target, state->data, count);
    state->data += count;
    state->remaining -= count;
}

// Pillow's integer composite with an opaque white background.
void cimage_composite_on_white(const uint8_t *rgba, uint8_t *rgb, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t alpha = rgba[4 * i + 3];
        // What the formula gives for both ends, without its division.
        if (alpha == 0 || alpha == 255) {
            const uint8_t ends[] = {rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]};
            if (alpha) memcpy(rgb + 3 * i, ends, 3);
            else memset(rgb + 3 * i, 255, 3);
            continue;
        }
        uint32_t out = alpha * 255 + 255 * (255 - alpha);
        uint32_t share = alpha * 255 * 255 * 128 / out;
        uint8_t pixel[3];
        for (int c = 0; c < 3; c++) {
            uint32_t t = rgba[4 * i + c] * share + 255 * (255 * 128 - share) + (128 << 7);
            pixel[c] = (uint8_t)((((t >> 8) + t) >> 8) >> 7);
        }
        memcpy(rgb + 3 * i, pixel, 3);
    }
}

static void configure(png_structp png) {
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(png, 8u << 20);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
}

// Gray of 16 bits stays as it is in the file; its tRNS does not count, as in Pillow.
static void choose_transforms(png_structp png, png_infop info, int drops_alpha) {
    png_byte type = png_get_color_type(png, info);
    if (type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) == 16) return;
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
    if (drops_alpha) png_set_strip_alpha(png);
    else if (png_get_valid(png, info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png);
    if (png_get_bit_depth(png, info) == 16) png_set_strip_16(png);
    if ((type & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png);
}

// From the two bytes of each sample; what is more than 255 is white, as in Pillow.
static void clip_gray(const uint8_t *row, uint8_t *rgb, size_t count) {
    for (size_t i = 0; i < count; i++) memset(rgb + 3 * i, row[2 * i] ? 255 : row[2 * i + 1], 3);
}

// Rows that are not RGB go through `*scratch`: one row, or the whole image where the file is interlaced.
static void read_rows(png_structp png, png_infop info, int passes, uint32_t width, uint32_t height, uint8_t *rgb,
                      uint8_t *volatile *scratch) {
    const size_t channels = png_get_channels(png, info), sample_bytes = png_get_bit_depth(png, info) / 8;
    const int is_deep_gray = channels == 1 && sample_bytes == 2;
    size_t stride = (size_t)width * channels * sample_bytes;
    if ((!is_deep_gray && (sample_bytes != 1 || (channels != 3 && channels != 4))) || png_get_rowbytes(png, info) != stride)
        png_error(png, "unexpected row layout");
    if (channels != 3) {
        *scratch = malloc(passes > 1 ? stride * height : stride);
        if (!*scratch) {
            ((reader *)png_get_error_ptr(png))->status = CIMAGE_NO_MEMORY;
            png_error(png, "out of memory");
        }
    }
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < height; y++) {
            reader *state = png_get_error_ptr(png);
            if (!state->watch.proceeds(state->watch.context, width)) {
                state->status = CIMAGE_STOPPED;
                png_error(png, "stopped");
            }
            uint8_t *out = rgb + (size_t)width * 3 * y;
            uint8_t *row = channels == 3 ? out : *scratch + (passes > 1 ? stride * y : 0);
            png_read_row(png, row, NULL);
            if (channels == 3 || pass < passes - 1) continue;
            if (is_deep_gray) clip_gray(row, out, width);
            else cimage_composite_on_white(row, out, width);
        }
}

cimage_status cimage_decode_png(const uint8_t *data, size_t size, cimage_target *target) {
    const uint32_t width = target->width, height = target->height;
    reader state = {.data = data, .remaining = size, .status = CIMAGE_OK, .watch = target->watch};
    png_structp volatile png = NULL;
    png_infop volatile info = NULL;
    uint8_t *volatile scratch = NULL;
    if (setjmp(state.escape) == 0) {
        png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
        if (png) info = png_create_info_struct(png);
        if (!info) {
            state.status = CIMAGE_NO_MEMORY;
            snprintf(state.text, sizeof state.text, "out of memory");
        } else {
            png_set_read_fn(png, &state, on_read);
            configure(png);
            png_read_info(png, info);
            if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height)
                png_error(png, "contradictory headers");
            choose_transforms(png, info, target->drops_alpha);
            int passes = png_set_interlace_handling(png);
            png_read_update_info(png, info);
            read_rows(png, info, passes, width, height, target->rgb, &scratch);
        }
    }
    free(scratch);
    png_structp structure = png;
    png_infop details = info;
    if (structure) png_destroy_read_struct(&structure, details ? &details : NULL, NULL);
    return cimage_end(target, state.status, state.text);
}

// An image of one pixel whose only text is the stream, up to where its data would start; sums are not checked.
static uint8_t *text_file(const uint8_t *stream, size_t size, size_t *total) {
    static const uint8_t head[] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10, 0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 0, 0,
                                   1,    0,   0,   0,   1,  8,  0,  0,  0, 0, 0, 0,  0,   0};
    const uint8_t name[] = {(uint8_t)((size + 3) >> 24), (uint8_t)((size + 3) >> 16), (uint8_t)((size + 3) >> 8),
                            (uint8_t)(size + 3), 'z', 'T', 'X', 't', 't', 0, 0};
    static const uint8_t tail[] = {0, 0, 0, 0, 0, 0, 0, 0, 'I', 'D', 'A', 'T'};
    *total = sizeof head + sizeof name + size + sizeof tail;
    uint8_t *file = malloc(*total);
    if (!file) return NULL;
    memcpy(file, head, sizeof head);
    memcpy(file + sizeof head, name, sizeof name);
    if (size) memcpy(file + sizeof head + sizeof name, stream, size);
    memcpy(file + sizeof head + sizeof name + size, tail, sizeof tail);
    return file;
}

size_t cimage_inflate_text(const uint8_t *stream, size_t size, uint8_t *text, size_t capacity) {
    if (size > (64u << 20)) return 0;
    reader state = {.status = CIMAGE_OK};
    uint8_t *volatile file = text_file(stream, size, &state.remaining);
    png_structp volatile png = NULL;
    png_infop volatile info = NULL;
    volatile size_t count = 0;
    state.data = file;
    if (file && setjmp(state.escape) == 0) {
        png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
        if (png) info = png_create_info_struct(png);
        if (info) {
            png_set_read_fn(png, &state, on_read);
            png_set_chunk_malloc_max(png, 8u << 20);
            png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
            png_read_info(png, info);
            png_textp texts = NULL;
            int found = 0;
            png_get_text(png, info, &texts, &found);
            if (found > 0 && texts[0].text) {
                count = texts[0].text_length < capacity ? texts[0].text_length : capacity;
                memcpy(text, texts[0].text, count);
            }
        }
    }
    png_structp structure = png;
    png_infop details = info;
    if (structure) png_destroy_read_struct(&structure, details ? &details : NULL, NULL);
    free(file);
    return count;
}
