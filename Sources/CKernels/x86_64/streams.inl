// The order in which thin kernels (few rows, weights from memory) read a panel: four places of it in turn, some KiB at a
// visit. Memory serves four streams of a core faster than one.

typedef struct {
  int64_t first, count;  // units (pairs of inputs, or int4 groups) of this visit
  int64_t ahead;         // bytes from a unit to what should be prefetched meanwhile
} stream_visit;

enum { STREAMS = 4 };

// Visits of a panel of `units` units, `per_visit` at a time; `step` counts from 0. The last visits take what the division
// by four leaves. The prefetch of a stream's end is its beginning in the next panel.
VLM_INLINE int64_t stream_visits(int64_t units, int64_t per_visit) {
  int64_t quarter = units / STREAMS;
  return vlm_ceil_div(quarter, per_visit) * STREAMS + (units % STREAMS ? 1 : 0);
}

VLM_INLINE stream_visit stream_visit_at(int64_t step, int64_t units, int64_t per_visit, int64_t unit_bytes) {
  int64_t quarter = units / STREAMS, round = step / STREAMS * per_visit;
  if (round >= quarter) return (stream_visit){quarter * STREAMS, units - quarter * STREAMS, units * unit_bytes};
  int64_t count = vlm_min(per_visit, quarter - round), next = round + 2 * per_visit <= quarter ? 0 : (units - quarter) * unit_bytes;
  return (stream_visit){step % STREAMS * quarter + round, count, per_visit * unit_bytes + next};
}
