#include "strided.h"

int64_t vlm_pick_items(const vlm_pick_args *a) {
  int64_t count = vlm_walk_count(a->index_axes, a->index_extent);
  if (count < 0 || a->axes < 1 || vlm_walk_count(a->axes, a->extent) < 0) return -1;
  if (a->index.element != VLM_ELEMENT_I32 || vlm_element_bytes(a->x.element) == 0 || a->y.element != a->x.element) return -1;
  return a->a.base && a->a.element != a->x.element ? -1 : count;
}

static void copy_row(const vlm_pick_args *a, vlm_strided from, void *to) {
  vlm_map_args map = {.op = VLM_MAP_COPY, .axes = a->axes, .extent = a->extent};
  map.x[0] = from;
  map.y = a->y;
  map.y.base = to;
  vlm_map(&map, 0, vlm_map_items(&map));
}

vlm_status vlm_pick(const vlm_pick_args *a, int64_t begin, int64_t end) {
  if (begin >= end) return VLM_OK;
  if (vlm_pick_items(a) < end || begin < 0) return VLM_BAD_SHAPE;
  const int32_t *indices = a->index.base;
  for (int64_t item = begin; item < end; item++) {
    int32_t index = indices[vlm_walk_offset(a->index_axes, a->index_extent, a->index.stride, item)];
    if (index >= a->rows || (index < 0 && !a->a.base)) return VLM_BAD_INDEX;
  }
  for (int64_t item = begin; item < end; item++) {
    int32_t index = indices[vlm_walk_offset(a->index_axes, a->index_extent, a->index.stride, item)];
    vlm_strided from = a->x;
    if (index < 0) {
      from = a->a;
      from.base = vlm_at(&a->a, vlm_walk_offset(a->index_axes, a->index_extent, a->a_stride, item));
    } else {
      from.base = vlm_at(&a->x, index * a->x_row);
    }
    copy_row(a, from, vlm_at(&a->y, vlm_walk_offset(a->index_axes, a->index_extent, a->y_stride, item)));
  }
  return VLM_OK;
}
