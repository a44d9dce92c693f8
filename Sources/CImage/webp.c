#include "decode.h"

#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>

// One still image: a whole file, or the first frame of an animation and its place on the canvas.
typedef struct {
    const uint8_t *data;
    size_t size;
    uint32_t x, y, width, height;
    int has_alpha; // of the file: it decides for the frame too
} still;

static cimage_status end(cimage_target *target, VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OK: return cimage_end(target, CIMAGE_OK, "");
    case VP8_STATUS_OUT_OF_MEMORY: return cimage_end(target, CIMAGE_NO_MEMORY, "out of memory");
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA: return cimage_end(target, CIMAGE_TRUNCATED, "the file ends inside the image");
    case VP8_STATUS_UNSUPPORTED_FEATURE: return cimage_end(target, CIMAGE_UNSUPPORTED, "a coding that libwebp does not know");
    default: return cimage_end(target, CIMAGE_CORRUPT, "the coded image is damaged");
    }
}

// The first frame: a chunk "ANMF" of place, size, sixteen bytes in all, and the chunks of a still image.
static cimage_status find_frame(still *found, cimage_target *target) {
    size_t at = 12;
    while (found->size - at >= 8) {
        const uint8_t *chunk = found->data + at;
        const size_t length = cimage_little32(chunk + 4);
        if (length > found->size - at - 8) break;
        if (memcmp(chunk, "ANMF", 4) != 0) {
            at += 8 + length + (length & 1);
            if (at > found->size) break;
            continue;
        }
        if (length < 16) return cimage_end(target, CIMAGE_CORRUPT, "a frame without its size");
        found->x = 2 * cimage_little24(chunk + 8);
        found->y = 2 * cimage_little24(chunk + 11);
        found->width = 1 + cimage_little24(chunk + 14);
        found->height = 1 + cimage_little24(chunk + 17);
        found->data = chunk + 24;
        found->size = length - 16;
        if (found->x + found->width > target->width || found->y + found->height > target->height)
            return cimage_end(target, CIMAGE_CORRUPT, "the first frame leaves the canvas");
        WebPBitstreamFeatures features;
        VP8StatusCode code = WebPGetFeatures(found->data, found->size, &features);
        if (code != VP8_STATUS_OK) return end(target, code);
        if ((uint32_t)features.width != found->width || (uint32_t)features.height != found->height)
            return cimage_end(target, CIMAGE_CORRUPT, "contradictory sizes of the first frame");
        return CIMAGE_OK;
    }
    return cimage_end(target, CIMAGE_TRUNCATED, "the file ends before the first frame");
}

static cimage_status find_still(const uint8_t *data, size_t size, still *found, cimage_target *target) {
    if (size < 12) return end(target, VP8_STATUS_NOT_ENOUGH_DATA);
    const uint64_t riff = (uint64_t)cimage_little32(data + 4) + 8;
    if (riff > size) return end(target, VP8_STATUS_NOT_ENOUGH_DATA);
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(data, riff, &features);
    if (code != VP8_STATUS_OK) return end(target, code);
    if ((uint32_t)features.width != target->width || (uint32_t)features.height != target->height)
        return cimage_end(target, CIMAGE_CORRUPT, "contradictory headers");
    *found = (still){data, riff, 0, 0, target->width, target->height, features.has_alpha};
    return features.has_animation ? find_frame(found, target) : CIMAGE_OK;
}

// Gives libwebp the data piece by piece, about 65536 pixels each, and asks in between whether to go on.
static cimage_status feed(WebPIDecoder *decoder, const still *found, cimage_target *target) {
    const size_t pixels = (size_t)found->width * found->height;
    const size_t steps = pixels / 65536 + 1;
    const size_t step = found->size / steps + 64;
    VP8StatusCode code = VP8_STATUS_SUSPENDED;
    for (size_t given = 0; given < found->size && code == VP8_STATUS_SUSPENDED;) {
        if (!cimage_goes_on(target, pixels / steps + 1)) return cimage_end(target, CIMAGE_STOPPED, "stopped");
        given = found->size - given > step ? given + step : found->size;
        code = WebPIUpdate(decoder, found->data, given);
    }
    if (code != VP8_STATUS_OK) return end(target, code);
    int width = 0, height = 0, rows = 0;
    if (!WebPIDecGetRGB(decoder, &rows, &width, &height, NULL) || (uint32_t)width != found->width
        || (uint32_t)height != found->height || rows != height)
        return cimage_end(target, CIMAGE_CORRUPT, "contradictory frame headers");
    return end(target, code);
}

// Decodes into `pixels` of `channels` bytes, rows `stride` bytes apart.
static cimage_status decode_still(const still *found, int channels, uint8_t *pixels, size_t stride, cimage_target *target) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return cimage_end(target, CIMAGE_UNSUPPORTED, "another version of libwebp");
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = pixels;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * (found->height - 1) + (size_t)found->width * (size_t)channels;
    WebPIDecoder *decoder = WebPINewDecoder(&config.output);
    if (!decoder) return end(target, VP8_STATUS_OUT_OF_MEMORY);
    cimage_status status = feed(decoder, found, target);
    WebPIDelete(decoder);
    return status;
}

cimage_status cimage_decode_webp(const uint8_t *data, size_t size, cimage_target *target) {
    still found;
    cimage_status status = find_still(data, size, &found, target);
    if (status != CIMAGE_OK) return status;
    const int composites = found.has_alpha && !target->drops_alpha;
    const size_t stride = (size_t)target->width * 3;
    uint8_t *first = target->rgb + found.y * stride + (size_t)found.x * 3;
    if (found.width != target->width || found.height != target->height)
        memset(target->rgb, composites ? 255 : 0, stride * target->height);
    if (!composites) return decode_still(&found, 3, first, stride, target);
    const size_t row = (size_t)found.width * 4;
    uint8_t *rgba = malloc(row * found.height);
    if (!rgba) return end(target, VP8_STATUS_OUT_OF_MEMORY);
    status = decode_still(&found, 4, rgba, row, target);
    for (uint32_t y = 0; status == CIMAGE_OK && y < found.height; y++) {
        if (cimage_goes_on(target, found.width)) cimage_composite_on_white(rgba + y * row, first + y * stride, found.width);
        else status = cimage_end(target, CIMAGE_STOPPED, "stopped");
    }
    free(rgba);
    return status;
}
