"""MiniCPM-V 4.6, the first that transformers has classes for."""
from __future__ import annotations

import transformers as hf

from .extents import Extents
from .native import Native
from .qwen import SPECIALS, hybrid_text
from .tokenizer import QWEN35, byte_level, ids, template, wrapped

NAMED = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "image_start_token": "<image>", "image_end_token": "</image>",
         "slice_start_token": "<slice>", "slice_end_token": "</slice>", "image_id_start_token": "<image_id>",
         "image_id_end_token": "</image_id>"}


def minicpmv4_6(e: Extents) -> Native:
    marks = ["<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>"]
    tok = wrapped(byte_level(QWEN35, [*SPECIALS, *marks], nfc=True), eos_token="<|im_end|>", pad_token="<|endoftext|>",
                  extra_special_tokens=NAMED)
    image, video, end, pad = ids(tok, "<|image_pad|>", "<|video_pad|>", "<|im_end|>", "<|endoftext|>")
    config = hf.MiniCPMV4_6Config(
        text_config=dict(hybrid_text(e, tok), model_type="qwen3_5_text"),
        vision_config=e.vision(num_hidden_layers=e.depth + 1, image_size=80, patch_size=8), insert_layer_id=1, image_token_id=image,
        video_token_id=video)
    pictures = hf.MiniCPMV4_6ImageProcessor(scale_resolution=64, max_slice_nums=4, patch_size=8)
    processor = hf.MiniCPMV4_6Processor(image_processor=pictures, video_processor=hf.MiniCPMV4_6VideoProcessor(), tokenizer=tok,
                                        chat_template=template("minicpmv4-6"))
    return Native(hf.MiniCPMV4_6ForConditionalGeneration(config), processor, (115, 68), stop=[end], pad=pad)


FAMILIES = {"minicpmv4_6": (minicpmv4_6, "thin")}
