// A libFuzzer target for the image decoders; `make fuzz` builds it with ASan and UBSan and runs it for a minute.
#include "cimage.h"

#include <stdlib.h>
#include <string.h>

static size_t field(const uint8_t *bytes, int count) {
    size_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

static size_t little(const uint8_t *bytes, int count) {
    size_t value = 0;
    for (int i = count - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

static int read_jpeg_size(const uint8_t *data, size_t size, size_t *width, size_t *height) {
    for (size_t at = 2; at + 9 <= size && data[0] == 0xFF; at += 2 + field(data + at + 2, 2)) {
        uint8_t marker = data[at + 1];
        if (data[at] != 0xFF || marker == 0xDA) return 0;
        if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
            *height = field(data + at + 5, 2);
            *width = field(data + at + 7, 2);
            return 1;
        }
    }
    return 0;
}

static int read_webp_size(const uint8_t *data, size_t size, size_t *width, size_t *height) {
    if (size < 30) return 0;
    switch (data[15]) {
    case 'X':
        *width = little(data + 24, 3) + 1;
        *height = little(data + 27, 3) + 1;
        return 1;
    case 'L':
        *width = (little(data + 21, 4) & 0x3FFF) + 1;
        *height = (little(data + 21, 4) >> 14 & 0x3FFF) + 1;
        return 1;
    default:
        *width = little(data + 26, 2) & 0x3FFF;
        *height = little(data + 28, 2) & 0x3FFF;
        return 1;
    }
}

// Up to the first frame, which may enlarge the canvas.
static int read_gif_size(const uint8_t *data, size_t size, size_t *width, size_t *height) {
    if (size < 13) return 0;
    *width = little(data + 6, 2);
    *height = little(data + 8, 2);
    size_t at = 13 + (data[10] & 0x80 ? (size_t)3 << ((data[10] & 7) + 1) : 0);
    while (at + 9 <= size && data[at] == 0x21)
        for (at += 2; at < size;) {
            const size_t length = data[at];
            at += 1 + length;
            if (length == 0) break;
        }
    if (at + 9 > size || data[at] != 0x2C) return 0;
    const size_t right = little(data + at + 1, 2) + little(data + at + 5, 2), bottom = little(data + at + 3, 2) + little(data + at + 7, 2);
    if (right > *width) *width = right;
    if (bottom > *height) *height = bottom;
    return 1;
}

static int read_bmp_size(const uint8_t *data, size_t size, size_t *width, size_t *height) {
    if (size < 26) return 0;
    const int bytes = data[14] == 12 ? 2 : 4;
    *width = little(data + 18, bytes);
    *height = little(data + 18 + bytes, bytes);
    if (bytes == 4 && data[25] == 0xFF) *height = ((size_t)1 << 32) - *height;
    return 1;
}

// Short or long sizes of the first directory, BigTIFF's too.
static int read_tiff_size(const uint8_t *data, size_t size, size_t *width, size_t *height) {
    size_t (*const read)(const uint8_t *, int) = data[0] == 'I' ? little : field;
    const int is_big = size > 16 && read(data + 2, 2) == 43, room = is_big ? 8 : 4;
    if (size < 16) return 0;
    size_t at = read(data + room, room);
    if (at > size || size - at < 8) return 0;
    const size_t count = read(data + at, is_big ? 8 : 2);
    at += is_big ? 8 : 2;
    for (size_t i = 0; i < count && size - at >= 4 + 2 * (size_t)room; i++, at += 4 + 2 * (size_t)room) {
        const size_t tag = read(data + at, 2), value = read(data + at + 4 + room, read(data + at + 2, 2) == 3 ? 2 : room);
        if (tag == 256) *width = value;
        if (tag == 257) *height = value;
    }
    return 1;
}

typedef struct {
    cimage_status (*decode)(const uint8_t *, size_t, cimage_target *);
    // The size that a header announces, as the Swift side reads it before it decodes; zero where there is none.
    int (*read_size)(const uint8_t *, size_t, size_t *, size_t *);
} kind;

static int read_png_size(const uint8_t *data, size_t size, size_t *width, size_t *height) {
    if (size < 24) return 0;
    *width = field(data + 16, 4);
    *height = field(data + 20, 4);
    return 1;
}

static kind kind_of(uint8_t first) {
    switch (first) {
    case 0x89: return (kind){cimage_decode_png, read_png_size};
    case 'R': return (kind){cimage_decode_webp, read_webp_size};
    case 'G': return (kind){cimage_decode_gif, read_gif_size};
    case 'B': return (kind){cimage_decode_bmp, read_bmp_size};
    case 'I':
    case 'M': return (kind){cimage_decode_tiff, read_tiff_size};
    default: return (kind){cimage_decode_jpeg, read_jpeg_size};
    }
}

static int proceeds(void *context, size_t pixels) {
    size_t *left = context;
    if (pixels > *left) return 0;
    *left -= pixels;
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t text[1 << 16];
    if (size > 0 && data[0] == 0x78) cimage_inflate_text(data, size, text, sizeof text);
    size_t width = 0, height = 0;
    if (size == 0) return 0;
    const kind kind = kind_of(data[0]);
    if (!kind.read_size(data, size, &width, &height) || width == 0 || height == 0) return 0;
    if (width > 1 << 16 || height > 1 << 16 || width * height > 1 << 18) return 0;
    uint8_t *rgb = malloc(width * height * 3);
    if (!rgb) return 0;
    size_t left = 1 << 22;
    cimage_target target = {(uint32_t)width, (uint32_t)height, rgb, size & 1, {proceeds, &left}, ""};
    cimage_status status = kind.decode(data, size, &target);
    // An image that decodes is written whole: summing it lets the sanitizers see a hole.
    volatile size_t sum = 0;
    if (status == CIMAGE_OK)
        for (size_t i = 0; i < width * height * 3; i++) sum += rgb[i];
    free(rgb);
    return 0;
}
