#include "decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

// A file with more scans than this only burns time; encoders write fewer than twenty.
enum { maximum_scans = 100 };

typedef struct {
    struct jpeg_error_mgr manager;
    jmp_buf escape;
    char text[JMSG_LENGTH_MAX];
    cimage_status status;
    cimage_watch watch;
} error_state;

static void fail(error_state *error, cimage_status status, const char *text) {
    error->status = status;
    snprintf(error->text, sizeof error->text, "%s", text);
    longjmp(error->escape, 1);
}

static void on_error(j_common_ptr info) {
    error_state *error = (error_state *)info->err;
    info->err->format_message(info, error->text);
    switch (info->err->msg_code) {
    case JERR_OUT_OF_MEMORY:
        error->status = CIMAGE_NO_MEMORY;
        break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_NOT_COMPILED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_ARITH_NOTIMPL:
        error->status = CIMAGE_UNSUPPORTED;
        break;
    default:
        error->status = CIMAGE_CORRUPT;
    }
    longjmp(error->escape, 1);
}

// Warnings that mean lost pixels are errors; extraneous bytes and odd JFIF headers are harmless.
static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
        on_error(info);
    default:
        info->err->num_warnings++;
    }
}

static void on_output(j_common_ptr info) { (void)info; }

static void on_progress(j_common_ptr info) {
    // Called at every row of blocks, of each scan of a progressive file too.
    j_decompress_ptr decoder = (j_decompress_ptr)info;
    error_state *error = (error_state *)info->err;
    if (!error->watch.proceeds(error->watch.context, (size_t)decoder->image_width * 8))
        fail(error, CIMAGE_STOPPED, "stopped");
    if (decoder->input_scan_number > maximum_scans) fail(error, CIMAGE_CORRUPT, "more than 100 scans");
}

static void on_start(j_decompress_ptr info) { (void)info; }

static boolean on_empty(j_decompress_ptr info) {
    fail((error_state *)info->err, CIMAGE_TRUNCATED, "the file ends inside the image");
    return FALSE;
}

static void on_skip(j_decompress_ptr info, long count) {
    if (count <= 0) return;
    if ((size_t)count > info->src->bytes_in_buffer) on_empty(info);
    info->src->next_input_byte += count;
    info->src->bytes_in_buffer -= (size_t)count;
}

// Stored inks are inverted: a stored 255 is no ink.
static void convert_inks(const uint8_t *inks, uint8_t *rgb, uint32_t width) {
    for (uint32_t x = 0; x < width; x++)
        for (int c = 0; c < 3; c++) rgb[3 * x + c] = cimage_ink(255u - inks[4 * x + c], 255u - inks[4 * x + 3]);
}

static void read_picture(j_decompress_ptr info, uint32_t width, uint32_t height, uint8_t *rgb) {
    error_state *error = (error_state *)info->err;
    jpeg_read_header(info, TRUE);
    if (info->image_width != width || info->image_height != height)
        fail(error, CIMAGE_CORRUPT, "contradictory frame headers");
    switch (info->num_components) {
    case 1:
    case 3:
        info->out_color_space = JCS_RGB;
        break;
    case 4:
        info->out_color_space = JCS_CMYK;
        break;
    default:
        fail(error, CIMAGE_UNSUPPORTED, "neither 1, 3 nor 4 colour components");
    }
    jpeg_start_decompress(info);
    size_t stride = (size_t)width * 3;
    JSAMPARRAY inks = NULL;
    if (info->num_components == 4)
        inks = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE, width * 4, 1);
    while (info->output_scanline < height) {
        uint8_t *row = rgb + stride * info->output_scanline;
        JSAMPROW target = inks ? inks[0] : row;
        if (jpeg_read_scanlines(info, &target, 1) != 1) on_empty(info);
        if (inks) convert_inks(inks[0], row, width);
    }
    jpeg_finish_decompress(info);
}

cimage_status cimage_decode_jpeg(const uint8_t *data, size_t size, cimage_target *target) {
    struct jpeg_decompress_struct info;
    error_state error;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    memset(&info, 0, sizeof info);
    memset(&progress, 0, sizeof progress);
    info.err = jpeg_std_error(&error.manager);
    error.manager.error_exit = on_error;
    error.manager.emit_message = on_message;
    error.manager.output_message = on_output;
    error.status = CIMAGE_OK;
    error.watch = target->watch;
    error.text[0] = 0;
    if (setjmp(error.escape) == 0) {
        jpeg_create_decompress(&info);
        source = (struct jpeg_source_mgr){
            .next_input_byte = data,
            .bytes_in_buffer = size,
            .init_source = on_start,
            .fill_input_buffer = on_empty,
            .skip_input_data = on_skip,
            .resync_to_restart = jpeg_resync_to_restart,
            .term_source = on_start,
        };
        progress.progress_monitor = on_progress;
        info.src = &source;
        info.progress = &progress;
        read_picture(&info, target->width, target->height, target->rgb);
    }
    jpeg_destroy_decompress(&info);
    return cimage_end(target, error.status, error.text);
}
