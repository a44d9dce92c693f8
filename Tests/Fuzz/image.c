// A libFuzzer target for the picture decoders; `make fuzz` builds it with ASan and UBSan and runs it for a minute.
#include "cimage.h"

#include <stdlib.h>
#include <string.h>

static size_t field(const uint8_t *bytes, int count) {
    size_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

// The size that a header announces, as the Swift side reads it before it decodes; zero where there is none.
static int read_size(const uint8_t *data, size_t size, size_t *width, size_t *height) {
    if (size >= 24 && data[0] == 0x89) {
        *width = field(data + 16, 4);
        *height = field(data + 20, 4);
        return 1;
    }
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
    if (!read_size(data, size, &width, &height) || width == 0 || height == 0) return 0;
    if (width > 1 << 16 || height > 1 << 16 || width * height > 1 << 18) return 0;
    uint8_t *rgb = malloc(width * height * 3);
    if (!rgb) return 0;
    size_t left = 1 << 22;
    char message[64];
    cimage_watch watch = {proceeds, &left};
    cimage_status status = (data[0] == 0x89 ? cimage_decode_png : cimage_decode_jpeg)(
        data, size, (uint32_t)width, (uint32_t)height, rgb, watch, message, sizeof message);
    // A picture that decodes is written whole: summing it lets the sanitizers see a hole.
    volatile size_t sum = 0;
    if (status == CIMAGE_OK)
        for (size_t i = 0; i < width * height * 3; i++) sum += rgb[i];
    free(rgb);
    return 0;
}
