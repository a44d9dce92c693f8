"""InternVL as transformers has it, over Qwen2 and over Llama."""
from __future__ import annotations

import transformers as hf

from .extents import Extents
from .native import Native
from .tokenizer import QWEN2, byte_level, ids, pieces, template, vocabulary, wrapped

SPECIALS = ["<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]
SIDE, PATCH, MAX_TILES = 32, 8, 6  # four by four patches, shuffled to four rows
NAMED = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def qwen2_tokenizer():
    made = byte_level(QWEN2, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<video>", *SPECIALS], nfc=True)
    return wrapped(made, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=NAMED)


def llama_tokenizer():
    made = pieces("never", ["<|im_end|>", "<|im_start|>", *SPECIALS, "<video>"])
    return wrapped(made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>", extra_special_tokens=NAMED)


def qwen2_text(e: Extents, rows: int, end: int) -> hf.Qwen2Config:
    return hf.Qwen2Config(**e.text(rows), eos_token_id=end)


def llama_text(e: Extents, rows: int) -> hf.LlamaConfig:
    rope = {"rope_type": "dynamic", "rope_theta": 1e6, "factor": 2.0}
    return hf.LlamaConfig(**e.text(rows, rms_norm_eps=1e-5), rope_parameters=rope, bos_token_id=1, eos_token_id=2)


def joined(e: Extents, text, context: int, large_tower: bool) -> hf.InternVLForConditionalGeneration:
    """`large_tower` is the 6B tower's kind: RMS norms, and norms of queries and keys."""
    tower = dict(e.vision(), image_size=[SIDE, SIDE], patch_size=[PATCH, PATCH], attention_bias=True, use_qk_norm=large_tower,
                 norm_type="rms_norm" if large_tower else "layer_norm")
    return hf.InternVLForConditionalGeneration(hf.InternVLConfig(
        vision_config=tower, text_config=text, image_token_id=context, image_seq_length=(SIDE // PATCH // 2) ** 2,
        tie_word_embeddings=False))


def native(tok, model, stop, pad) -> Native:
    pictures = hf.GotOcr2ImageProcessor(size={"height": SIDE, "width": SIDE}, image_mean=MEAN, image_std=DEVIATION, crop_to_patches=True,
                                        min_patches=1, max_patches=MAX_TILES)
    processor = hf.InternVLProcessor(image_processor=pictures, tokenizer=tok, video_processor=hf.InternVLVideoProcessor(),
                                     image_seq_length=(SIDE // PATCH // 2) ** 2, chat_template=template("internvl"))
    return Native(model, processor, (160, 110), stop=stop, pad=pad)


def internvl(e: Extents) -> Native:
    tok = qwen2_tokenizer()
    context, end, pad = ids(tok, "<IMG_CONTEXT>", "<|im_end|>", "<|endoftext|>")
    return native(tok, joined(e, qwen2_text(e, vocabulary(tok), end), context, large_tower=False), [end], pad)


def internvl_llama(e: Extents) -> Native:
    tok = llama_tokenizer()
    context, end = ids(tok, "<IMG_CONTEXT>", "<|im_end|>")
    return native(tok, joined(e, llama_text(e, vocabulary(tok)), context, large_tower=True), [end, 2], 2)


FAMILIES = {"internvl": (internvl, "lean"), "internvl_llama": (internvl_llama, "lean")}
