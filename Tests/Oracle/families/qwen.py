"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5."""
from __future__ import annotations

from dataclasses import replace

import transformers as hf

from .extents import Extents
from .native import Native
from .tokenizer import QWEN2, QWEN35, byte_level, ids, template, vocabulary, wrapped

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
            "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]


def tokenizer(extra=(), pattern=QWEN2):
    made = byte_level(pattern, [*SPECIALS, *extra], nfc=True)
    return wrapped(made, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def vision_tokens(tok) -> dict:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>", "vision_start_token_id": "<|vision_start|>",
             "vision_end_token_id": "<|vision_end|>"}
    return {k: tok.convert_tokens_to_ids(v) for k, v in names.items()}


def built(model, processor, tok, image, **more) -> Native:
    stop = ids(tok, "<|im_end|>", "<|endoftext|>")
    return Native(model, processor, image, stop=stop, pad=stop[1], **more)


def ends(tok) -> dict:
    end, start = ids(tok, "<|im_end|>", "<|endoftext|>")
    return {"bos_token_id": start, "eos_token_id": end}


def qwen2_vl(e: Extents, tied=False, fewest=4) -> Native:
    """`fewest`: the cells of 28 by 28 that a picture has at least."""
    tok = tokenizer()
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": e.sections()}
    config = hf.Qwen2VLConfig(
        text_config=dict(e.text(vocabulary(tok)), rope_parameters=rope, **ends(tok)),
        vision_config=dict(depth=e.depth, embed_dim=e.width, hidden_size=e.hidden, num_heads=e.vision_heads, mlp_ratio=2, patch_size=14,
                           spatial_merge_size=2, temporal_patch_size=2, hidden_act="quick_gelu"),
        tie_word_embeddings=tied, **vision_tokens(tok))
    pictures = hf.Qwen2VLImageProcessor(size={"shortest_edge": 28 * 28 * fewest, "longest_edge": 28 * 28 * 14})
    processor = hf.Qwen2VLProcessor(image_processor=pictures, tokenizer=tok, video_processor=hf.Qwen2VLVideoProcessor(),
                                    chat_template=template("qwen2-5-vl"))
    return built(hf.Qwen2VLForConditionalGeneration(config), processor, tok, (90, 61), embed=0.35 if tied else 1.0)


def qwen2_vl_tied(e: Extents) -> Native:
    return qwen2_vl(e, tied=True)


def qwen2_vl_of_few(e: Extents) -> Native:
    """With a picture of eight patches."""
    return replace(qwen2_vl(e, fewest=2), image=(57, 30))


def qwen2_5_vl(e: Extents) -> Native:
    tok = tokenizer()
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": e.sections()}
    config = hf.Qwen2_5_VLConfig(
        text_config=dict(e.text(vocabulary(tok)), rope_parameters=rope, **ends(tok)),
        vision_config=dict(depth=e.depth + 1, hidden_size=e.width, intermediate_size=e.vision_inter, out_hidden_size=e.hidden,
                           num_heads=e.vision_heads, patch_size=14, spatial_merge_size=2, temporal_patch_size=2, window_size=56,
                           fullatt_block_indexes=[1], tokens_per_second=2), **vision_tokens(tok))
    pictures = hf.Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 20})
    processor = hf.Qwen2_5_VLProcessor(image_processor=pictures, tokenizer=tok, video_processor=hf.Qwen2VLVideoProcessor(),
                                       chat_template=template("qwen2-5-vl"))
    return built(hf.Qwen2_5_VLForConditionalGeneration(config), processor, tok, (90, 70))


def pictures_of(patch: int) -> hf.Qwen2VLImageProcessor:
    cell = 4 * patch * patch
    return hf.Qwen2VLImageProcessor(size={"shortest_edge": 4 * cell, "longest_edge": 14 * cell}, patch_size=patch, image_mean=[0.5] * 3,
                                    image_std=[0.5] * 3)


def qwen3_vl(e: Extents) -> Native:
    tok = tokenizer()
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": e.interleaved_sections(8), "mrope_interleaved": True}
    config = hf.Qwen3VLConfig(
        text_config=dict(e.text(vocabulary(tok), head_dim=16), rope_parameters=rope, **ends(tok)),
        vision_config=dict(depth=e.depth + 1, hidden_size=e.width, intermediate_size=e.vision_inter, out_hidden_size=e.hidden,
                           num_heads=e.vision_heads, patch_size=12, num_position_embeddings=36,
                           deepstack_visual_indexes=[0, 1][:e.layers]), **vision_tokens(tok))
    processor = hf.Qwen3VLProcessor(image_processor=pictures_of(12), tokenizer=tok, video_processor=hf.Qwen3VLVideoProcessor(),
                                    chat_template=template("qwen2-5-vl"))
    return built(hf.Qwen3VLForConditionalGeneration(config), processor, tok, (95, 60))


def hybrid_text(e: Extents, tok) -> dict:
    """A decoder of which every fourth layer is attention and the others are gated delta nets."""
    rope = {"rope_type": "default", "rope_theta": 1e7, "mrope_section": [2, 1, 1], "mrope_interleaved": True, "partial_rotary_factor": 0.25}
    return dict(e.text(vocabulary(tok), num_hidden_layers=4, head_dim=32), partial_rotary_factor=0.25, linear_key_head_dim=16,
                linear_value_head_dim=16, linear_num_key_heads=2, linear_num_value_heads=4, rope_parameters=rope,
                layer_types=["linear_attention"] * 3 + ["full_attention"], eos_token_id=ids(tok, "<|im_end|>")[0])


def qwen3_5(e: Extents) -> Native:
    tok = tokenizer(extra=["<think>", "</think>"], pattern=QWEN35)
    config = hf.Qwen3_5Config(
        text_config=hybrid_text(e, tok),
        vision_config=dict(depth=e.depth, hidden_size=e.width, intermediate_size=e.vision_inter, out_hidden_size=e.hidden,
                           num_heads=e.vision_heads, patch_size=8, num_position_embeddings=36), **vision_tokens(tok))
    processor = hf.Qwen3VLProcessor(image_processor=pictures_of(8), tokenizer=tok, video_processor=hf.Qwen3VLVideoProcessor(),
                                    chat_template=template("qwen3-5"))
    return built(hf.Qwen3_5ForConditionalGeneration(config), processor, tok, (85, 50))


FAMILIES = {"qwen2_vl": (qwen2_vl, "small"), "qwen2_vl_tied": (qwen2_vl_tied, "thin"), "qwen2_5_vl": (qwen2_5_vl, "lean"),
            "qwen3_vl": (qwen3_vl, "thin"), "qwen3_5": (qwen3_5, "lean")}
