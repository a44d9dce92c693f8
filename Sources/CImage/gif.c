#include "decode.h"

#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

typedef struct {
    const uint8_t *data;
    size_t remaining;
} source;

static int on_read(GifFileType *gif, GifByteType *target, int count) {
    source *from = gif->UserData;
    size_t taken = (size_t)count < from->remaining ? (size_t)count : from->remaining;
    memcpy(target, from->data, taken);
    from->data += taken;
    from->remaining -= taken;
    return (int)taken;
}

static cimage_status fail(const GifFileType *gif, int code, cimage_target *target) {
    if (gif) code = gif->Error;
    const char *text = GifErrorString(code);
    cimage_status status = CIMAGE_CORRUPT;
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM) status = CIMAGE_NO_MEMORY;
    else if (code == D_GIF_ERR_READ_FAILED || code == D_GIF_ERR_EOF_TOO_SOON) {
        status = CIMAGE_TRUNCATED;
        text = "the file ends inside the image";
    }
    return cimage_end(target, status, text ? text : "the coded image is damaged");
}

// Reads up to the first image; `transparent` is the number of the colour without ink, or -1.
static cimage_status find_frame(GifFileType *gif, int *transparent, cimage_target *target) {
    *transparent = -1;
    for (;;) {
        GifRecordType record;
        if (!cimage_goes_on(target, 256)) return cimage_end(target, CIMAGE_STOPPED, "stopped");
        if (DGifGetRecordType(gif, &record) == GIF_ERROR) return fail(gif, 0, target);
        if (record == IMAGE_DESC_RECORD_TYPE)
            return DGifGetImageDesc(gif) == GIF_ERROR ? fail(gif, 0, target) : CIMAGE_OK;
        if (record != EXTENSION_RECORD_TYPE) return cimage_end(target, CIMAGE_CORRUPT, "there is no image in the file");
        int code;
        GifByteType *block;
        if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) return fail(gif, 0, target);
        if (code == GRAPHICS_EXT_FUNC_CODE && block && block[0] >= 4 && block[1] & 1) *transparent = block[4];
        while (block) {
            if (!cimage_goes_on(target, 256)) return cimage_end(target, CIMAGE_STOPPED, "stopped");
            if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return fail(gif, 0, target);
        }
    }
}

// The colours as they show: the transparent one is white, unless alpha is dropped.
static void read_palette(const GifFileType *gif, int transparent, const cimage_target *target, uint8_t palette[768]) {
    const ColorMapObject *map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    const int count = !map ? 0 : map->ColorCount < 256 ? map->ColorCount : 256;
    for (int i = 0; i < count; i++) {
        palette[3 * i] = map->Colors[i].Red;
        palette[3 * i + 1] = map->Colors[i].Green;
        palette[3 * i + 2] = map->Colors[i].Blue;
    }
    cimage_fill_palette(palette, count);
    if (transparent >= 0 && !target->drops_alpha) memset(palette + 3 * transparent, 255, 3);
}

static void show(const uint8_t *numbers, size_t count, const uint8_t palette[768], uint8_t *rgb) {
    for (size_t x = 0; x < count; x++) memcpy(rgb + 3 * x, palette + 3 * numbers[x], 3);
}

static cimage_status read_rows(GifFileType *gif, const uint8_t palette[768], uint8_t *numbers, cimage_target *target) {
    static const uint32_t starts[] = {0, 4, 2, 1, 0}, steps[] = {8, 8, 4, 2, 1};
    const uint32_t width = (uint32_t)gif->Image.Width, height = (uint32_t)gif->Image.Height;
    const size_t stride = (size_t)target->width * 3;
    uint8_t *first = target->rgb + (size_t)gif->Image.Top * stride + (size_t)gif->Image.Left * 3;
    for (int pass = gif->Image.Interlace ? 0 : 4; pass < (gif->Image.Interlace ? 4 : 5); pass++)
        for (uint32_t y = starts[pass]; y < height; y += steps[pass]) {
            if (!cimage_goes_on(target, width)) return cimage_end(target, CIMAGE_STOPPED, "stopped");
            if (DGifGetLine(gif, numbers, (int)width) == GIF_ERROR) return fail(gif, 0, target);
            show(numbers, width, palette, first + y * stride);
        }
    return cimage_end(target, CIMAGE_OK, "");
}

static cimage_status decode(GifFileType *gif, cimage_target *target) {
    int transparent;
    cimage_status status = find_frame(gif, &transparent, target);
    if (status != CIMAGE_OK) return status;
    const GifImageDesc *frame = &gif->Image;
    if (frame->Width <= 0 || frame->Height <= 0 || frame->Left < 0 || frame->Top < 0
        || (uint64_t)frame->Left + (uint64_t)frame->Width > target->width
        || (uint64_t)frame->Top + (uint64_t)frame->Height > target->height)
        return cimage_end(target, CIMAGE_CORRUPT, "contradictory headers");
    uint8_t palette[768];
    read_palette(gif, transparent, target, palette);
    uint8_t *numbers = malloc(target->width);
    if (!numbers) return cimage_end(target, CIMAGE_NO_MEMORY, "out of memory");
    if ((uint32_t)frame->Width != target->width || (uint32_t)frame->Height != target->height) {
        memset(numbers, transparent >= 0 ? transparent : 0, target->width);
        for (uint32_t y = 0; status == CIMAGE_OK && y < target->height; y++) {
            if (cimage_goes_on(target, target->width)) show(numbers, target->width, palette, target->rgb + (size_t)y * target->width * 3);
            else status = cimage_end(target, CIMAGE_STOPPED, "stopped");
        }
    }
    if (status == CIMAGE_OK) status = read_rows(gif, palette, numbers, target);
    free(numbers);
    return status;
}

cimage_status cimage_decode_gif(const uint8_t *data, size_t size, cimage_target *target) {
    source from = {data, size};
    int code = 0;
    GifFileType *gif = DGifOpen(&from, on_read, &code);
    if (!gif) return fail(NULL, code, target);
    cimage_status status = decode(gif, target);
    DGifCloseFile(gif, &code);
    return status;
}
