// VLM_ATTEND_TILE(features, attend, transpose): versions of the attention inner loops, oldest to shiniest; the dispatcher
// takes the last one whose features the machine has.
VLM_ATTEND_TILE(0, vlm_attend_generic, vlm_transpose_generic)
