"""LLaVA-1.5, LLaVA-NeXT with three decoders, LLaVA-OneVision."""
from __future__ import annotations

import torch
import transformers as hf

from .extents import Extents
from .native import Native
from .tokenizer import LLAMA3, QWEN2, byte_level, ids, pieces, template, vocabulary, wrapped

SIDE, PATCH = 42, 14  # a tile of three by three patches
TILES = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE], [3 * SIDE, SIDE], [SIDE, 3 * SIDE]]


def llama_tokenizer(style="legacy"):
    return wrapped(pieces(style, ["<pad>", "<image>"]), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
                   extra_special_tokens={"image_token": "<image>"})


def clip(e: Extents) -> hf.CLIPVisionConfig:
    """One block more than is run: features are those before the last."""
    return hf.CLIPVisionConfig(**e.vision(num_hidden_layers=e.depth + 1), image_size=SIDE, patch_size=PATCH, projection_dim=32,
                               hidden_act="quick_gelu")


def squares(kind=hf.CLIPImageProcessor, **more):
    return kind(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, **more)


def llava15(e: Extents, style="legacy") -> Native:
    tok = llama_tokenizer(style)
    image, end, pad = ids(tok, "<image>", "</s>", "<pad>")
    text = hf.LlamaConfig(**e.text(vocabulary(tok), num_key_value_heads=e.heads, rms_norm_eps=1e-5), bos_token_id=1, eos_token_id=end)
    config = hf.LlavaConfig(vision_config=clip(e), text_config=text, image_token_index=image, vision_feature_layer=-2,
                            vision_feature_select_strategy="default", image_seq_length=(SIDE // PATCH) ** 2)
    processor = hf.LlavaProcessor(image_processor=squares(), tokenizer=tok, patch_size=PATCH, vision_feature_select_strategy="default",
                                  num_additional_image_tokens=1, chat_template=template("llava"))
    return Native(hf.LlavaForConditionalGeneration(config), processor, (120, 90), stop=[end], pad=pad, dtype=torch.float16)


def llava15_new(e: Extents) -> Native:
    """With the tokenizer that newer converters write: Metaspace in place of the legacy normalizer."""
    return llava15(e, style="first")


def next_of(e: Extents, text, tok, chat: str, stop: list[int], size=(120, 50), **more) -> Native:
    config = hf.LlavaNextConfig(vision_config=clip(e), text_config=text, image_token_index=tok.convert_tokens_to_ids("<image>"),
                                image_grid_pinpoints=TILES)
    pictures = squares(hf.LlavaNextImageProcessor, image_grid_pinpoints=TILES)
    processor = hf.LlavaNextProcessor(image_processor=pictures, tokenizer=tok, patch_size=PATCH, vision_feature_select_strategy="default",
                                      num_additional_image_tokens=1, chat_template=template(chat))
    return Native(hf.LlavaNextForConditionalGeneration(config), processor, size, stop=stop,
                  pad=tok.convert_tokens_to_ids("<pad>"), **more)


def mistral(e: Extents, tok, **more) -> hf.MistralConfig:
    return hf.MistralConfig(**e.text(vocabulary(tok), rms_norm_eps=1e-5), eos_token_id=2, bos_token_id=1, **more)


def llava_next_mistral(e: Extents) -> Native:
    tok = llama_tokenizer()
    text = mistral(e, tok, sliding_window=None, rope_theta=1e6)
    return next_of(e, text, tok, "llava-next-mistral", [2], dtype=torch.float16)


def llava_next_mistral_swa(e: Extents) -> Native:
    """With a sliding window that is shorter than the prompt."""
    tok = llama_tokenizer()
    return next_of(e, mistral(e, tok, sliding_window=40), tok, "llava-next-mistral", [2], size=(50, 120), dtype=torch.float16)


def llava_next_llama3(e: Extents) -> Native:
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>", "<pad>"]
    tok = wrapped(byte_level(LLAMA3, specials, bos="<|begin_of_text|>"), bos_token="<|begin_of_text|>", eos_token="<|eot_id|>",
                  pad_token="<pad>", extra_special_tokens={"image_token": "<image>"})
    begin, *stop = ids(tok, "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>")
    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}
    text = hf.LlamaConfig(**e.text(vocabulary(tok), rms_norm_eps=1e-5), rope_parameters=rope, bos_token_id=begin, eos_token_id=stop)
    return next_of(e, text, tok, "llava-next-llama3", stop, size=(70, 65))


def llava_onevision(e: Extents) -> Native:
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
    tok = wrapped(byte_level(QWEN2, specials, nfc=True), eos_token="<|im_end|>", pad_token="<|endoftext|>",
                  extra_special_tokens={"image_token": "<image>", "video_token": "<video>"})
    image, video, end, pad = ids(tok, "<image>", "<video>", "<|im_end|>", "<|endoftext|>")
    tiles = [[SIDE * rows, SIDE * columns] for rows in range(1, 7) for columns in range(1, 7)]
    size = {"height": SIDE, "width": SIDE}
    tower = hf.SiglipVisionConfig(**e.vision(), image_size=SIDE, patch_size=PATCH, vision_use_head=False)
    text = hf.Qwen2Config(**e.text(vocabulary(tok)), eos_token_id=end, tie_word_embeddings=True)
    config = hf.LlavaOnevisionConfig(vision_config=tower, text_config=text, image_token_index=image, video_token_index=video,
                                     image_grid_pinpoints=tiles, vision_aspect_ratio="anyres_max_2", tie_word_embeddings=True)
    pictures = hf.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=tiles, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor = hf.LlavaOnevisionProcessor(
        image_processor=pictures, tokenizer=tok, video_processor=hf.LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=(SIDE // PATCH) ** 2, vision_feature_select_strategy="full", vision_aspect_ratio="anyres_max_2",
        chat_template=template("llava-onevision"))
    return Native(hf.LlavaOnevisionForConditionalGeneration(config), processor, (130, 75), stop=[end], pad=pad, embed=0.35)


FAMILIES = {"llava15": (llava15, "small"), "llava15_new": (llava15_new, "thin"), "llava_next_mistral": (llava_next_mistral, "lean"),
            "llava_next_mistral_swa": (llava_next_mistral_swa, "thin"), "llava_next_llama3": (llava_next_llama3, "lean"),
            "llava_onevision": (llava_onevision, "lean")}
