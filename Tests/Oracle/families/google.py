"""Gemma 3, PaliGemma and PaliGemma 2."""
from __future__ import annotations

import transformers as hf

from .extents import Extents
from .native import Native
from .tokenizer import GEMMA_HEAD, ids, pieces, template, vocabulary, wrapped

SIDE, PATCH = 56, 14


def tokenizer(specials: list[str], **named: str):
    made = pieces("gemma", specials, bos="<bos>", head=GEMMA_HEAD)
    return wrapped(made, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>", extra_special_tokens=named)


def siglip(e: Extents) -> dict:
    return e.vision(image_size=SIDE, patch_size=PATCH, vision_use_head=False)


def gemma3(e: Extents) -> Native:
    marks = ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tok = tokenizer([*marks, *("\n" * count for count in range(2, 5))], image_token="<image_soft_token>", boi_token="<start_of_image>",
                    eoi_token="<end_of_image>")
    image, begin, end, turn = ids(tok, "<image_soft_token>", "<start_of_image>", "<end_of_image>", "<end_of_turn>")
    rope = {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
    text = e.text(vocabulary(tok), num_hidden_layers=3, head_dim=16, query_pre_attn_scalar=24, sliding_window=12, rope_parameters=rope,
                  layer_types=["sliding_attention", "full_attention", "sliding_attention"])
    config = hf.Gemma3Config(text_config=text, vision_config=siglip(e), mm_tokens_per_image=4, image_token_index=image,
                             boi_token_index=begin, eoi_token_index=end)
    pictures = hf.Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE})
    processor = hf.Gemma3Processor(image_processor=pictures, tokenizer=tok, image_seq_length=4, chat_template=template("gemma3"))
    return Native(hf.Gemma3ForConditionalGeneration(config), processor, (150, 100), stop=[1, turn], embed=0.4 / e.hidden ** 0.5)


def paligemma_of(e: Extents, text_class, **more) -> Native:
    """The processor adds 1152 tokens for places and segments, so the table is large."""
    tok = tokenizer(["<image>"], image_token="<image>")
    rows = -(-(len(tok) + 1152) // 64) * 64
    text = text_class(**e.text(rows, head_dim=16, max_position_embeddings=512), **more)
    tower = hf.SiglipVisionConfig(**siglip(e))
    config = hf.PaliGemmaConfig(vision_config=tower, text_config=text, image_token_index=ids(tok, "<image>")[0], projection_dim=e.hidden,
                                vocab_size=rows, hidden_size=e.hidden)
    pictures = hf.SiglipImageProcessor(size={"height": SIDE, "width": SIDE}, resample=3)
    pictures.image_seq_length = (SIDE // PATCH) ** 2
    processor = hf.PaliGemmaProcessor(image_processor=pictures, tokenizer=tok)
    return Native(hf.PaliGemmaForConditionalGeneration(config), processor, (100, 90), stop=[1], embed=0.05, bare=True,
                  question="café 12")


def paligemma(e: Extents) -> Native:
    return paligemma_of(e, hf.GemmaConfig)


def paligemma2(e: Extents) -> Native:
    return paligemma_of(e, hf.Gemma2Config, query_pre_attn_scalar=24, sliding_window=12)


FAMILIES = {"gemma3": (gemma3, "lean"), "paligemma": (paligemma, "thin"), "paligemma2": (paligemma2, "thin")}
