// Prefetches of weights that few rows read once, from memory.

// Weights that a thread reads in their order, and by how many bytes it prefetches them where memory is near.
typedef struct {
  const char *begin, *end;
  int64_t ahead;
} weight_stream;

// Nothing to prefetch: other rows have done it.
static const weight_stream no_stream;

// Where memory is far, weights are prefetched in turns: each asks for a part in each of some pages of a window, the next one in the others. The hardware
// fetches ahead in every page by itself, and so in all of them at once.
enum { FAR_PAGE = 4096, FAR_PAGES = 8, FAR_PARTS = 4, FAR_PART = 128, FAR_TURN = FAR_PARTS * FAR_PART, FAR_WINDOW = FAR_PAGES * FAR_PAGE };

// Where the first part of the turn is that is prefetched while FAR_TURN bytes at `at` are read: in the window behind theirs.
VLM_INLINE const char *far_turn(const void *at, const weight_stream *s) {
  enum { TURNS = FAR_PAGES / FAR_PARTS };
  const uintptr_t begin = (uintptr_t)s->begin, x = (uintptr_t)at - begin, turn = x % FAR_WINDOW / FAR_TURN;
  return (const char *)(begin + x / FAR_WINDOW * FAR_WINDOW + FAR_WINDOW + turn % TURNS * (FAR_PARTS * FAR_PAGE) + turn / TURNS * FAR_PART);
}

// A place `offset` bytes into a part of a turn, or `at` where that is behind the end.
VLM_INLINE const char *far_place(const char *turn, int64_t part, int64_t offset, const void *at, const weight_stream *s) {
  const uintptr_t place = (uintptr_t)turn + (uintptr_t)(part * FAR_PAGE + offset);
  return place < (uintptr_t)s->end ? (const char *)place : at;
}

VLM_INLINE void far_part(const char *turn, int64_t part, const void *at, const weight_stream *s) {
  const char *place = far_place(turn, part, 0, at, s);
  for (int line = 0; line < FAR_PART; line += 64) __builtin_prefetch(place + line, 0, 2);
}

// Prefetches a line while the one at `at` is read.
VLM_INLINE void prefetch_line(const void *at, const weight_stream *s, const bool is_far) {
  const int64_t offset = (int64_t)((uintptr_t)at - (uintptr_t)s->begin) % FAR_TURN;
  if (is_far) __builtin_prefetch(far_place(far_turn(at, s), offset / FAR_PART, offset % FAR_PART, at, s), 0, 2);
  else __builtin_prefetch((const char *)at + s->ahead, 0, 3);
}

// Prefetches a part of FAR_TURN bytes while those at `at` are read.
VLM_INLINE void stream_part(const void *at, const int part, const weight_stream *s, const bool is_far) {
  if (is_far) far_part(far_turn(at, s), part, at, s);
  else
    for (int line = part * FAR_PART; line < (part + 1) * FAR_PART; line += 64) __builtin_prefetch((const char *)at + s->ahead + line, 0, 3);
}

// Prefetches FAR_PART bytes while those at `at` are read.
VLM_INLINE void stream_ahead(const void *at, const weight_stream *s, const bool is_far) {
  const int64_t part = (int64_t)((uintptr_t)at - (uintptr_t)s->begin) % FAR_TURN / FAR_PART;
  if (is_far) far_part(far_turn(at, s), part, at, s);
  else stream_part(at, 0, s, false);
}

// Whether kernels of 512 bits ask ahead. Where memory is near, one and two rows wait for it alone: prefetches would only hold the few miss buffers of the
// first cache, which loads and the hardware's own prefetches use better (Zen 4, one row of int4: 19 → 24 GB/s per core).
VLM_INLINE bool asks_ahead(const bool is_far, const int rows) { return is_far || rows > 2; }

// Prefetches the first window, where memory is far.
static inline void stream_begin(const weight_stream *s) {
  for (const char *turn = s->begin; turn < s->begin + FAR_PAGE; turn += FAR_PART)
    for (int part = 0; part < FAR_PAGES; part++) far_part(turn, part, s->begin, s);
}
