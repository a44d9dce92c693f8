"""Idefics3 and SmolVLM; granite-docling is an Idefics3 directory."""
from __future__ import annotations

from dataclasses import replace

import torch
import transformers as hf

from .extents import Extents
from .native import Native
from .tokenizer import byte_level, ids, template, vocabulary, wrapped

TILE, PATCH = 32, 8
PLACES = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
NAMED = {"fake_image_token": "<fake_token_around_image>", "image_token": "<image>", "end_of_utterance_token": "<end_of_utterance>",
         "global_image_token": "<global-img>"}


def tokenizer(*more: str):
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<global-img>", "<fake_token_around_image>", "<image>",
                "<end_of_utterance>", *PLACES, *more]
    return wrapped(byte_level(None, specials, digits=True), bos_token="<|im_start|>", eos_token="<end_of_utterance>",
                   pad_token="<|im_end|>", extra_special_tokens=NAMED)


def built(e: Extents, kind: str, tok, tied=False, **processor_parts) -> Native:
    """`kind` is the prefix of the four classes."""
    begin, end, pad, image = ids(tok, "<|im_start|>", "<end_of_utterance>", "<|im_end|>", "<image>")
    text = hf.LlamaConfig(**e.text(vocabulary(tok), rms_norm_eps=1e-5), bos_token_id=begin, eos_token_id=end, pad_token_id=pad,
                          tie_word_embeddings=tied)
    config = getattr(hf, f"{kind}Config")(vision_config=e.vision(image_size=TILE, patch_size=PATCH), text_config=text, scale_factor=2,
                                          image_token_id=image, tie_word_embeddings=tied)
    pictures = getattr(hf, f"{kind}ImageProcessor")(size={"longest_edge": 2 * TILE}, max_image_size={"longest_edge": TILE})
    processor = getattr(hf, f"{kind}Processor")(image_processor=pictures, tokenizer=tok, image_seq_len=(TILE // PATCH // 2) ** 2,
                                                chat_template=template("smolvlm"), **processor_parts)
    model = getattr(hf, f"{kind}ForConditionalGeneration")(config)
    return Native(model, processor, (150, 100), stop=[end], pad=pad, dtype=torch.float16, embed=0.35 if tied else 1.0)


def idefics3(e: Extents) -> Native:
    return built(e, "Idefics3", tokenizer())


def smolvlm(e: Extents) -> Native:
    return replace(built(e, "SmolVLM", tokenizer(), video_processor=hf.SmolVLMVideoProcessor()), image=(61, 140))


def granite_docling(e: Extents) -> Native:
    """The first granite-docling: an Idefics3 with a tied head and its markup's tokens."""
    return built(e, "Idefics3", tokenizer("<doctag>", "</doctag>", "<text>", "</text>", "<loc_0>", "<loc_1>"), tied=True)


FAMILIES = {"idefics3": (idefics3, "lean"), "smolvlm": (smolvlm, "lean")}
DOCUMENTS = {"granite_docling": (granite_docling, "lean")}
