"""Models of documents and of phones: PaddleOCR-VL, LightOnOCR, GLM-OCR, LFM2-VL, Gemma 4."""
from __future__ import annotations

import json
from pathlib import Path

import transformers as hf

from .extents import Extents
from .native import Native
from .qwen import SPECIALS as QWEN_SPECIALS
from .tokenizer import GEMMA_HEAD, LLAMA3, QWEN2, byte_level, ids, pieces, template, vocabulary, wrapped

# Templates of these families' shapes, cut to what the records say.
TURNS = ("{% for message in messages %}OPEN{% if message['content'] is string %}{{ message['content'] }}{% else %}"
         "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ 'IMAGE' }}{% else %}{{ part['text'] }}{% endif %}"
         "{% endfor %}{% endif %}CLOSE{% endfor %}{% if add_generation_prompt %}{{ 'ASK' }}{% endif %}")


def turns(start: str, opening: str, image: str, close: str, ask: str) -> str:
    """A template of one line; `opening` and `close` are Jinja, `image` and `ask` are text."""
    return start + TURNS.replace("OPEN", opening).replace("IMAGE", image).replace("CLOSE", close).replace("ASK", ask)


CHATML = ("{{ '<|im_start|>' + message['role'] + '\\n' }}", "{{ '<|im_end|>\\n' }}", "<|im_start|>assistant\\n")


def paddleocr_vl(e: Extents) -> Native:
    marks = ["<|begin_of_sentence|>", "<|end_of_sentence|>", "<|IMAGE_START|>", "<|IMAGE_PLACEHOLDER|>", "<|IMAGE_END|>", "<|video_pad|>"]
    tok = wrapped(pieces("never", marks, bos=None), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>",
                  cls_token="<|begin_of_sentence|>", extra_special_tokens={"image_token": "<|IMAGE_PLACEHOLDER|>"})
    image, video, start, end = ids(tok, "<|IMAGE_PLACEHOLDER|>", "<|video_pad|>", "<|IMAGE_START|>", "<|IMAGE_END|>")
    rope = {"rope_type": "default", "rope_theta": 500000.0, "mrope_section": e.sections(16)}
    config = hf.PaddleOCRVLConfig(
        text_config=dict(e.text(vocabulary(tok), rms_norm_eps=1e-5, head_dim=16), rope_parameters=rope, tie_word_embeddings=False),
        vision_config=e.vision(image_size=84, patch_size=14), image_token_id=image, video_token_id=video, vision_start_token_id=start,
        vision_end_token_id=end, tie_word_embeddings=False)
    pictures = hf.PaddleOCRVLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 14})
    processor = hf.PaddleOCRVLProcessor(image_processor=pictures, tokenizer=tok, chat_template=template("paddleocr-vl"))
    return Native(hf.PaddleOCRVLForConditionalGeneration(config), processor, (97, 60), stop=[2])


def lighton_ocr(e: Extents, patch: int = 20) -> Native:
    """`patch` is that of the processor: whole squares of the tower's patches, or, as published first, one of them."""
    tok = wrapped(byte_level(QWEN2, QWEN_SPECIALS, nfc=True), eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens={
        "image_token": "<|image_pad|>", "image_break_token": "<|vision_pad|>", "image_end_token": "<|vision_end|>"})
    image, end, pad = ids(tok, "<|image_pad|>", "<|im_end|>", "<|endoftext|>")
    text = {"model_type": "qwen3", **e.text(vocabulary(tok), head_dim=16), "rope_theta": 1e6, "eos_token_id": end, "bos_token_id": pad}
    tower = {"model_type": "pixtral", **e.vision(), "head_dim": e.width // e.vision_heads, "image_size": 80,
             "patch_size": 10, "hidden_act": "silu", "rope_parameters": {"rope_type": "default", "rope_theta": 10000}}
    config = hf.LightOnOcrConfig(vision_config=tower, text_config=text, image_token_id=image, spatial_merge_size=2,
                                 tie_word_embeddings=True)
    pictures = hf.PixtralImageProcessor(size={"longest_edge": 80}, patch_size={"height": patch, "width": patch})
    opening, close, ask = CHATML
    processor = hf.LightOnOcrProcessor(image_processor=pictures, tokenizer=tok, patch_size=10, spatial_merge_size=2,
                                       chat_template=turns("", opening, "<|image_pad|>", close, ask))
    return Native(hf.LightOnOcrForConditionalGeneration(config), processor, (120, 90 if patch == 20 else 70), stop=[end], pad=pad, embed=0.35)


def glm_ocr(e: Extents) -> Native:
    marks = ["<|endoftext|>", "[MASK]", "[gMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>", "<|begin_of_image|>",
             "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<|image|>", "<|video|>"]
    tok = wrapped(byte_level(LLAMA3, marks), eos_token="<|endoftext|>", pad_token="<|endoftext|>", extra_special_tokens={
        "image_token": "<|image|>", "video_token": "<|video|>"})
    names = ("image_start_token_id", "image_end_token_id", "video_start_token_id", "video_end_token_id", "image_token_id", "video_token_id")
    known = dict(zip(names, ids(tok, *marks[8:])))
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": e.sections(16), "partial_rotary_factor": 1.0}
    config = hf.GlmOcrConfig(
        text_config=dict(e.text(vocabulary(tok), rms_norm_eps=1e-5), rope_parameters=rope, head_dim=16),
        vision_config=dict(depth=e.depth, hidden_size=e.width, num_heads=e.vision_heads, intermediate_size=e.vision_inter, image_size=56,
                           patch_size=14, out_hidden_size=e.hidden), **known)
    pictures = hf.Glm46VImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 24})
    opening = "{{ '<|' + message['role'] + '|>\\n' }}"
    chat = turns("[gMASK]<sop>", opening, "<|begin_of_image|><|image|><|end_of_image|>", "", "<|assistant|>\\n")
    processor = hf.Glm46VProcessor(image_processor=pictures, tokenizer=tok, video_processor=hf.Glm46VVideoProcessor(), chat_template=chat)
    stop = ids(tok, "<|endoftext|>", "<|user|>")
    return Native(hf.GlmOcrForConditionalGeneration(config), processor, (90, 61), stop=stop, pad=stop[0])


def lfm2_vl(e: Extents) -> Native:
    """Its decoder has short convolutions in place of attention in some layers."""
    places = [f"<|img_row_{row}_col_{column}|>" for row in range(1, 7) for column in range(1, 7)]
    marks = ["<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<|image_start|>", "<|image_end|>",
             "<|img_thumbnail|>", *places]
    tok = wrapped(byte_level(LLAMA3, marks, bos="<|startoftext|>"), bos_token="<|startoftext|>", eos_token="<|im_end|>",
                  pad_token="<|pad|>", extra_special_tokens={
                      "image_token": "<image>", "image_start_token": "<|image_start|>", "image_end_token": "<|image_end|>",
                      "image_thumbnail_token": "<|img_thumbnail|>"})
    pad, begin, end, image = ids(tok, "<|pad|>", "<|startoftext|>", "<|im_end|>", "<image>")
    text = e.text(vocabulary(tok), num_hidden_layers=3)
    text |= {"model_type": "lfm2", "norm_eps": text.pop("rms_norm_eps"), "block_auto_adjust_ff_dim": False, "conv_L_cache": 3,
             "layer_types": ["conv", "full_attention", "conv"], "pad_token_id": pad, "bos_token_id": begin, "eos_token_id": end}
    tower = {"model_type": "siglip2_vision_model", **e.vision(num_patches=16, patch_size=8, vision_use_head=False)}
    config = hf.Lfm2VlConfig(vision_config=tower, text_config=text, image_token_id=image, projector_hidden_size=48, downsample_factor=2)
    pictures = hf.Lfm2VlImageProcessor(encoder_patch_size=8, tile_size=32, min_image_tokens=2, max_image_tokens=6, max_tiles=4,
                                       downsample_factor=2)
    opening, close, ask = CHATML
    processor = hf.Lfm2VlProcessor(image_processor=pictures, tokenizer=tok,
                                   chat_template=turns("{{ bos_token }}", opening, "<image>", close, ask))
    return Native(hf.Lfm2VlForConditionalGeneration(config), processor, (75, 50), stop=[end], pad=pad, embed=0.35)


def gemma4(e: Extents, sight: dict | None = None, rewrites=(), **more) -> Native:
    """With per-layer embeddings and layers that share keys and values; without its hearing half."""
    marks = ["<|turn>", "<turn|>", "<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>", "<|video|>"]
    tok = wrapped(pieces("gemma", marks, bos="<bos>", head=GEMMA_HEAD), bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
                  pad_token="<pad>", extra_special_tokens={
                      "image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>", "audio_token": "<|audio|>",
                      "boa_token": "<|audio>", "eoa_token": "<audio|>"})
    image, begin, end, turn, video = ids(tok, "<|image|>", "<|image>", "<image|>", "<turn|>", "<|video|>")
    rows = vocabulary(tok)
    usual = dict(num_hidden_layers=4, head_dim=16, global_head_dim=32, sliding_window=12, num_kv_shared_layers=2,
                 layer_types=["sliding_attention", "full_attention"] * 2, hidden_size_per_layer_input=8, vocab_size_per_layer_input=rows,
                 use_bidirectional_attention="vision", final_logit_softcapping=30.0)
    text = e.text(rows, **usual) | more
    tower = e.vision(num_key_value_heads=e.vision_heads, head_dim=e.width // e.vision_heads, patch_size=4, position_embedding_size=224)
    config = hf.Gemma4Config(text_config=text, vision_config=tower | (sight or {}), audio_config=None, image_token_id=image,
                             boi_token_id=begin, eoi_token_id=end, video_token_id=video)
    pictures = hf.Gemma4ImageProcessor(patch_size=config.vision_config.patch_size, max_soft_tokens=70)
    chat = turns("{{ bos_token }}", "{{ '<|turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}",
                 "<|image|>", "{{ '<turn|>\\n' }}", "<|turn>model\\n")
    processor = hf.Gemma4Processor(feature_extractor=hf.Gemma4AudioFeatureExtractor(), image_processor=pictures, tokenizer=tok,
                                   video_processor=hf.Gemma4VideoProcessor(), chat_template=chat, image_seq_length=70)
    return Native(hf.Gemma4ForConditionalGeneration(config), processor, (75, 50), stop=[1, turn], embed=0.4 / e.hidden ** 0.5,
                  rewrites=rewrites)


def gemma4_wide(e: Extents) -> Native:
    """As the small ones are published: no sight forward, wide feed-forwards in layers that share, clipped linear layers, heads by kind."""
    return gemma4(e, dict(use_clipped_linears=True, patch_size=2), (heads_by_kind,), use_bidirectional_attention=None, use_double_wide_mlp=True)


def gemma4_dense(e: Extents) -> Native:
    """As the large one: neither per-layer embeddings nor sharing; layers that see everything have keys for values."""
    return gemma4(e, dict(standardize=True, patch_size=2), num_hidden_layers=3, num_kv_shared_layers=0, hidden_size_per_layer_input=0,
                  layer_types=["sliding_attention"] * 2 + ["full_attention"], attention_k_eq_v=True, num_key_value_heads=e.heads,
                  num_global_key_value_heads=1)


def heads_by_kind(folder: Path):
    """The extents of heads as older files have them."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config["text_config"]["global_head_dim"] = next(iter(config["text_config"].pop("per_layer_config").values()))["head_dim"]
    file.write_text(json.dumps(config, indent=2) + "\n")


FAMILIES = {"paddleocr_vl": (paddleocr_vl, "lean")}
DOCUMENTS = {"lighton_ocr": (lighton_ocr, "lean"), "lighton_ocr_loose": (lambda e: lighton_ocr(e, patch=10), "lean"),
             "glm_ocr": (glm_ocr, "lean"), "lfm2_vl": (lfm2_vl, "lean"), "gemma4": (gemma4, "lean"),
             "gemma4_wide": (gemma4_wide, "lean"), "gemma4_dense": (gemma4_dense, "lean")}
