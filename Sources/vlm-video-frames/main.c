// vlm-video-frames: the frames of one video file, decoded in a process of its own.
//
//     vlm-video-frames MEMORY_BYTES CPU_SECONDS PIXELS_MAX FRAMES_MAX SECONDS_MAX [INDEX...]
//
// The file is descriptor 0, which must be seekable. Without indices the output is one line, "width height frames numerator denominator",
// of which the last two are the frame rate. With indices, which rise and may repeat, it is for each of them "FRM1", width and height as
// 32 bits in little endian, and width * height * 3 bytes of RGB. Sizes and pictures are those of frames that stand upright, by the file's
// display matrix. No name in the file is ever opened. The exit status is one of `status`.
#include "confinement.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>

enum status {
    STATUS_OK = 0,
    STATUS_USAGE = 2,
    STATUS_UNKNOWN = 3,
    STATUS_NO_VIDEO = 4,
    STATUS_UNSUPPORTED = 5,
    STATUS_TOO_LARGE = 6,
    STATUS_TOO_MANY_FRAMES = 7,
    STATUS_TOO_LONG = 8,
    STATUS_CORRUPT = 9,
    STATUS_NO_MEMORY = 10,
};

struct limits {
    int64_t pixels, frames, seconds;
};

static const char *const formats = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,h264,hevc,ivf";
static const char *const codecs =
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,msmpeg4,msmpeg4v2,mpeg1video,mpeg2video,mjpeg,theora,flv,h263,wmv1,wmv2,"
    "vc1,wmv3,gif,rawvideo,ffv1";

static int64_t position = 0, length = 0;

static int read_some(void *opaque, uint8_t *buffer, int count) {
    (void)opaque;
    ssize_t got;
    do { got = pread(0, buffer, (size_t)count, position); } while (got < 0 && errno == EINTR);
    if (got <= 0) { return got == 0 ? AVERROR_EOF : AVERROR(EIO); }
    position += got;
    return (int)got;
}

static int64_t seek_to(void *opaque, int64_t offset, int whence) {
    (void)opaque;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE: return length;
    case SEEK_SET: break;
    case SEEK_CUR: offset += position; break;
    case SEEK_END: offset += length; break;
    default: return AVERROR(EINVAL);
    }
    if (offset < 0) { return AVERROR(EINVAL); }
    return position = offset;
}

// Formats that are lists of other files find none.
static int open_nothing(AVFormatContext *context, AVIOContext **io, const char *url, int flags, AVDictionary **options) {
    (void)context, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static void write_all(const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    while (count > 0) {
        const ssize_t done = write(1, next, count);
        if (done < 0 && errno == EINTR) { continue; }
        if (done <= 0) { _exit(STATUS_OK); }  // Nobody reads any more.
        next += done;
        count -= (size_t)done;
    }
}

// Whether whoever started this program still waits for what it writes.
static int is_awaited(void) {
    struct pollfd output = {.fd = 1};
    return poll(&output, 1, 0) <= 0;
}

static enum status of_error(int error, enum status other) { return error == AVERROR(ENOMEM) ? STATUS_NO_MEMORY : other; }

static enum status check_size(int width, int height, const struct limits *limits) {
    if (width <= 0 || height <= 0) { return STATUS_CORRUPT; }
    return (int64_t)width * height > limits->pixels ? STATUS_TOO_LARGE : STATUS_OK;
}

static enum status open_file(AVFormatContext **file, AVStream **stream, const struct limits *limits) {
    AVFormatContext *context = avformat_alloc_context();
    const int size = 1 << 16;
    uint8_t *buffer = av_malloc((size_t)size);
    AVIOContext *io = buffer ? avio_alloc_context(buffer, size, 0, NULL, read_some, NULL, seek_to) : NULL;
    if (!context || !io) { return STATUS_NO_MEMORY; }
    context->pb = io;
    context->flags |= AVFMT_FLAG_CUSTOM_IO;
    context->io_open = open_nothing;
    context->format_whitelist = av_strdup(formats);
    context->codec_whitelist = av_strdup(codecs);
    context->protocol_whitelist = av_strdup("none");
    context->max_streams = 64;
    // Of a kind that is known, what cannot be opened is damaged; what is not in the list of kinds is not opened at all.
    const AVInputFormat *kind = NULL;
    int error = av_probe_input_buffer2(io, &kind, NULL, NULL, 0, 0);
    if (error < 0 || !kind) { return of_error(error, STATUS_UNKNOWN); }
    error = avformat_open_input(&context, NULL, kind, NULL);
    if (error < 0) { return of_error(error, error == AVERROR(EINVAL) ? STATUS_UNKNOWN : STATUS_CORRUPT); }
    error = avformat_find_stream_info(context, NULL);
    if (error < 0) { return of_error(error, STATUS_CORRUPT); }
    const int best = av_find_best_stream(context, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (best < 0) { return STATUS_NO_VIDEO; }
    for (unsigned i = 0; i < context->nb_streams; i++) {
        context->streams[i]->discard = (int)i == best ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    }
    *file = context;
    *stream = context->streams[best];
    return check_size((*stream)->codecpar->width, (*stream)->codecpar->height, limits);
}

static const int32_t *display_matrix(const AVStream *stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100)
    const AVCodecParameters *coded = stream->codecpar;
    const AVPacketSideData *data = av_packet_side_data_get(coded->coded_side_data, coded->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return data && data->size >= 9 * sizeof(int32_t) ? (const int32_t *)data->data : NULL;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return data && size >= 9 * sizeof(int32_t) ? (const int32_t *)data : NULL;
#endif
}

// After how many quarter turns counter-clockwise pictures stand upright; other angles are rounded, and mirroring is left out.
static int quarter_turns(const AVStream *stream) {
    const int32_t *matrix = display_matrix(stream);
    const double angle = matrix ? av_display_rotation_get(matrix) : 0;
    if (!(angle >= -180 && angle <= 180)) { return 0; }
    return (int)(angle / 90 + (angle < 0 ? -0.5 : 0.5)) & 3;
}

// Counts the frames that are shown.
static enum status tell_facts(AVFormatContext *file, AVStream *stream, const struct limits *limits) {
    AVPacket *packet = av_packet_alloc();
    if (!packet) { return STATUS_NO_MEMORY; }
    int64_t frames = 0, first = INT64_MAX, last = INT64_MIN;
    while (is_awaited() && av_read_frame(file, packet) >= 0) {
        if (packet->stream_index == stream->index && !(packet->flags & AV_PKT_FLAG_DISCARD)) {
            frames++;
            if (packet->pts != AV_NOPTS_VALUE) {
                first = packet->pts < first ? packet->pts : first;
                const int64_t end = packet->pts + packet->duration;
                last = end > last ? end : last;
            }
        }
        av_packet_unref(packet);
        if (frames > limits->frames) { return STATUS_TOO_MANY_FRAMES; }
    }
    if (frames == 0) { return STATUS_CORRUPT; }
    AVRational rate = stream->avg_frame_rate;
    if ((rate.num <= 0 || rate.den <= 0) && last > first) {
        const double seconds = (double)(last - first) * av_q2d(stream->time_base);
        rate = av_d2q((double)frames / seconds, 1 << 24);
    }
    if (rate.num <= 0 || rate.den <= 0) { rate = (AVRational){0, 1}; }
    if (rate.num > 0 && (double)frames * rate.den / rate.num > (double)limits->seconds) { return STATUS_TOO_LONG; }
    const int sides[2] = {stream->codecpar->width, stream->codecpar->height}, lies = quarter_turns(stream) & 1;
    char line[160];
    const int count = snprintf(line, sizeof line, "%d %d %lld %d %d\n", sides[lies], sides[1 - lies], (long long)frames, rate.num, rate.den);
    write_all(line, (size_t)count);
    return STATUS_OK;
}

struct output {
    struct SwsContext *scaler;
    uint8_t *pixels, *turned;
    int width, height, format, stride;
    // Counter-clockwise.
    int quarter_turns;
    const char *const *indices;
    int count, next;
    int64_t frame;
    const struct limits *limits;
};

// Writes the picture of `pixels` to `turned`, upright.
static void turn(struct output *out) {
    const ptrdiff_t width = out->width, height = out->height;
    // The first pixel, and how far it is from there to the one below it and to its right.
    const ptrdiff_t walks[4][3] = {{0, width, 1}, {width - 1, -1, width}, {height * width - 1, -width, -1}, {(height - 1) * width, 1, -width}};
    const ptrdiff_t *walk = walks[out->quarter_turns];
    const int lies = out->quarter_turns & 1;
    uint8_t *next = out->turned;
    for (ptrdiff_t y = 0; y < (lies ? width : height); y++) {
        for (ptrdiff_t x = 0; x < (lies ? height : width); x++, next += 3) { memcpy(next, out->pixels + 3 * (walk[0] + y * walk[1] + x * walk[2]), 3); }
    }
}

// One picture as RGB, without resizing, by the colours that the frame names.
static enum status convert(struct output *out, const AVFrame *frame) {
    enum status status = check_size(frame->width, frame->height, out->limits);
    if (status) { return status; }
    if (!out->scaler || out->width != frame->width || out->height != frame->height || out->format != frame->format) {
        sws_freeContext(out->scaler);
        av_freep(&out->pixels);
        av_freep(&out->turned);
        out->scaler = sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height, AV_PIX_FMT_RGB24, SWS_BILINEAR, NULL,
                                     NULL, NULL);
        if (!out->scaler) { return STATUS_UNSUPPORTED; }
        const int *table = sws_getCoefficients(frame->colorspace);
        sws_setColorspaceDetails(out->scaler, table, frame->color_range == AVCOL_RANGE_JPEG, table, 1, 0, 1 << 16, 1 << 16);
        // Converters write whole vectors, and leave out the end of a row that has no room for one.
        out->stride = (3 * frame->width + 127) & ~63;
        out->pixels = av_malloc((size_t)out->stride * frame->height);
        if (out->quarter_turns) { out->turned = av_malloc(3 * (size_t)frame->width * frame->height); }
        if (!out->pixels || (out->quarter_turns && !out->turned)) { return STATUS_NO_MEMORY; }
        out->width = frame->width;
        out->height = frame->height;
        out->format = frame->format;
    }
    uint8_t *const planes[4] = {out->pixels};
    const int strides[4] = {out->stride};
    const int lines = sws_scale(out->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes, strides);
    const size_t row = 3 * (size_t)out->width;
    for (int y = 1; y < out->height; y++) { memmove(out->pixels + y * row, out->pixels + (size_t)y * out->stride, row); }
    if (out->quarter_turns) { turn(out); }
    return lines == frame->height ? STATUS_OK : STATUS_CORRUPT;
}

static void put(const struct output *out) {
    const int sides[2] = {out->width, out->height}, lies = out->quarter_turns & 1;
    uint8_t header[12] = {'F', 'R', 'M', '1'};
    for (int i = 0; i < 4; i++) {
        header[4 + i] = (uint8_t)((unsigned)sides[lies] >> 8 * i);
        header[8 + i] = (uint8_t)((unsigned)sides[1 - lies] >> 8 * i);
    }
    write_all(header, sizeof header);
    write_all(out->quarter_turns ? out->turned : out->pixels, (size_t)out->width * out->height * 3);
}

// Puts out the frame as often as it is asked for.
static enum status take(struct output *out, const AVFrame *frame) {
    if (out->frame++ != strtoll(out->indices[out->next], NULL, 10)) { return STATUS_OK; }
    const enum status status = convert(out, frame);
    if (status) { return status; }
    while (out->next < out->count && strtoll(out->indices[out->next], NULL, 10) == out->frame - 1) {
        put(out);
        out->next++;
    }
    return STATUS_OK;
}

// Takes what the decoder has ready; damaged frames are left out.
static enum status drain(AVCodecContext *decoder, AVFrame *frame, struct output *out) {
    while (out->next < out->count) {
        const int error = avcodec_receive_frame(decoder, frame);
        if (error == AVERROR(ENOMEM)) { return STATUS_NO_MEMORY; }
        if (error < 0) { return STATUS_OK; }
        const enum status status = take(out, frame);
        av_frame_unref(frame);
        if (status) { return status; }
    }
    return STATUS_OK;
}

static enum status tell_frames(AVFormatContext *file, AVStream *stream, struct output *out) {
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    AVCodecContext *decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!decoder) { return STATUS_UNSUPPORTED; }
    decoder->codec_whitelist = av_strdup(codecs);
    decoder->thread_count = 1;
    decoder->max_pixels = out->limits->pixels;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    if (!packet || !frame) { return STATUS_NO_MEMORY; }
    if (avcodec_parameters_to_context(decoder, stream->codecpar) < 0) { return STATUS_CORRUPT; }
    decoder->pkt_timebase = stream->time_base;
    const int error = avcodec_open2(decoder, codec, NULL);
    if (error < 0) { return of_error(error, STATUS_UNSUPPORTED); }
    enum status status = STATUS_OK;
    while (!status && is_awaited() && out->next < out->count && av_read_frame(file, packet) >= 0) {
        if (packet->stream_index == stream->index) {
            const int sent = avcodec_send_packet(decoder, packet);
            status = sent == AVERROR(ENOMEM) ? STATUS_NO_MEMORY : drain(decoder, frame, out);
        }
        av_packet_unref(packet);
    }
    if (!status && out->next < out->count) {
        avcodec_send_packet(decoder, NULL);
        status = drain(decoder, frame, out);
    }
    if (!status && !out->pixels) { return STATUS_CORRUPT; }
    // A file that ends before its last frame stays at the one before.
    for (; !status && out->next < out->count; out->next++) { put(out); }
    return status;
}

int main(int count, char **arguments) {
    if (count < 6) {
        static const char text[] = "vlm-video-frames is started by vlm-serve and vlmc, to decode videos\n";
        if (write(2, text, sizeof text - 1) < 0) { return STATUS_USAGE; }
        return STATUS_USAGE;
    }
    int64_t numbers[5];
    for (int i = 0; i < 5; i++) {
        numbers[i] = strtoll(arguments[1 + i], NULL, 10);
        if (numbers[i] <= 0) { return STATUS_USAGE; }
    }
    length = lseek(0, 0, SEEK_END);
    if (length < 0 || confine((uint64_t)numbers[0], (uint64_t)numbers[1])) { return STATUS_USAGE; }
    const struct limits limits = {numbers[2], numbers[3], numbers[4]};
    av_log_set_level(AV_LOG_QUIET);
    AVFormatContext *file = NULL;
    AVStream *stream = NULL;
    enum status status = open_file(&file, &stream, &limits);
    if (status) { return status; }
    if (count == 6) { return tell_facts(file, stream, &limits); }
    struct output out = {.indices = (const char *const *)arguments + 6, .count = count - 6, .quarter_turns = quarter_turns(stream), .limits = &limits};
    return tell_frames(file, stream, &out);
}
