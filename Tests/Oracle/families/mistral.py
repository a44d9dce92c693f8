"""Pixtral and Mistral-Small-3.1."""
from __future__ import annotations

import transformers as hf

from .extents import Extents
from .native import Native
from .tokenizer import TEKKEN, byte_level, ids, template, vocabulary, wrapped


def tokenizer():
    specials = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "<pad>"]
    named = {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"}
    return wrapped(byte_level(TEKKEN, specials, bos="<s>"), bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
                   extra_special_tokens=named)


def tower(e: Extents, patch: int, longest: int) -> hf.PixtralVisionConfig:
    return hf.PixtralVisionConfig(**e.vision(), image_size=longest, patch_size=patch, hidden_act="silu",
                                  rope_parameters={"rope_type": "axial", "rope_theta": 10000.0})


def text(e: Extents, tok) -> hf.MistralConfig:
    begin, end = ids(tok, "<s>", "</s>")
    return hf.MistralConfig(**e.text(vocabulary(tok), rms_norm_eps=1e-5, head_dim=32), rope_theta=1e9, sliding_window=None,
                            eos_token_id=end, bos_token_id=begin)


def built(model, tok, patch: int, longest: int, merge: int) -> Native:
    pictures = hf.PixtralImageProcessor(size={"longest_edge": longest}, patch_size={"height": patch, "width": patch})
    processor = hf.PixtralProcessor(image_processor=pictures, tokenizer=tok, patch_size=patch, spatial_merge_size=merge,
                                    chat_template=template("pixtral"))
    return Native(model, processor, (150, 90), stop=ids(tok, "</s>"), pad=ids(tok, "<pad>")[0])


def pixtral(e: Extents) -> Native:
    tok = tokenizer()
    config = hf.LlavaConfig(vision_config=tower(e, 8, 64), text_config=text(e, tok), image_token_index=ids(tok, "[IMG]")[0],
                            vision_feature_layer=-1, vision_feature_select_strategy="full", projector_hidden_act="gelu")
    return built(hf.LlavaForConditionalGeneration(config), tok, patch=8, longest=64, merge=1)


def mistral3(e: Extents) -> Native:
    tok = tokenizer()
    config = hf.Mistral3Config(vision_config=tower(e, 10, 80), text_config=text(e, tok), image_token_index=ids(tok, "[IMG]")[0],
                               spatial_merge_size=2, vision_feature_layer=-1, tie_word_embeddings=False)
    return built(hf.Mistral3ForConditionalGeneration(config), tok, patch=10, longest=80, merge=2)


FAMILIES = {"pixtral": (pixtral, "lean"), "mistral3": (mistral3, "lean")}
