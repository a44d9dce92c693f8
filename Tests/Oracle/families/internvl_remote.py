"""InternVL in the layout that was published first (InternVLChatModel), with InternLM2 and with Qwen2.

The record is the native model's with the same weights under other names; pictures and prompts are made as the published code makes them.
"""
from __future__ import annotations

import re
from pathlib import Path

import sentencepiece
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from . import internvl
from .composite import normalized, parts_of, pictures_of
from .extents import Extents
from .files import write_facts
from .internvl import DEVIATION, MAX_TILES, MEAN, PATCH, SIDE, SPECIALS
from .native import Native
from .tokenizer import ids, sentencepiece_model, vocabulary

SYSTEM = {"internvl2_5": "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。",
          "internlm2-chat": "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"}
RENAMED = [(r"^model\.vision_tower\.embeddings\.cls_token", "vision_model.embeddings.class_embedding"),
           (r"^model\.vision_tower\.embeddings\.position_embeddings", "vision_model.embeddings.position_embedding"),
           (r"^model\.vision_tower\.embeddings\.patch_embeddings\.projection", "vision_model.embeddings.patch_embedding"),
           (r"^model\.vision_tower\.encoder\.layer\.", "vision_model.encoder.layers."),
           (r"\.attention\.projection_layer\.", ".attn.proj."), (r"(vision_model.*)\.attention\.", r"\1.attn."),
           (r"\.lambda_(\d)", r".ls\1"),
           (r"\.layernorm_before\.", ".norm1."), (r"\.layernorm_after\.", ".norm2."),
           (r"^model\.multi_modal_projector\.layer_norm", "mlp1.0"), (r"^model\.multi_modal_projector\.linear_1", "mlp1.1"),
           (r"^model\.multi_modal_projector\.linear_2", "mlp1.3"), (r"^model\.language_model\.", "language_model.model."),
           (r"^lm_head", "language_model.lm_head")]
INTERNLM2 = [(r"embed_tokens", "tok_embeddings"), (r"self_attn\.q_proj", "attention.wqkv"), (r"self_attn\.o_proj", "attention.wo"),
             (r"mlp\.gate_proj", "feed_forward.w1"), (r"mlp\.down_proj", "feed_forward.w2"), (r"mlp\.up_proj", "feed_forward.w3"),
             (r"(language_model.*)input_layernorm", r"\1attention_norm"), (r"(language_model.*)post_attention_layernorm", r"\1ffn_norm"),
             (r"language_model\.lm_head", "language_model.output")]


def grid(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of tiles: the nearest ratio, on a tie the later one when the picture fills half of it."""
    wanted, best, nearest = width / height, (1, 1), float("inf")
    shapes = sorted(((c, r) for c in range(1, MAX_TILES + 1) for r in range(1, MAX_TILES + 1) if c * r <= MAX_TILES),
                    key=lambda shape: shape[0] * shape[1])
    for columns, rows in shapes:
        distance = abs(wanted - columns / rows)
        if distance < nearest:
            nearest, best = distance, (columns, rows)
        elif distance == nearest and width * height > 0.5 * SIDE * SIDE * columns * rows:
            best = columns, rows
    return best


def tiles(image: Image.Image) -> torch.Tensor:
    """[tiles, 3, SIDE, SIDE]: the picture squashed to a grid and cut, then the whole when there is more than one."""
    columns, rows = grid(*image.size)
    whole = image.resize((columns * SIDE, rows * SIDE))
    boxes = [(c * SIDE, r * SIDE, (c + 1) * SIDE, (r + 1) * SIDE) for r in range(rows) for c in range(columns)]
    cut = [whole.crop(box) for box in boxes] + ([image.resize((SIDE, SIDE))] if len(boxes) > 1 else [])
    return torch.stack([normalized(tile, (MEAN, DEVIATION)) for tile in cut])


def file_names(state: dict, attention, internlm2: bool) -> dict[str, torch.Tensor]:
    """The published names: the tower's qkv stacked, InternLM2's interleaved per key/value head."""
    made = {}
    for name, value in state.items():
        if re.search(r"\.[kv]_proj\.", name) and (internlm2 or "vision_tower" in name):
            continue
        if ".q_proj." in name and (internlm2 or "vision_tower" in name):
            q, k, v = (state[name.replace(".q_proj.", f".{letter}_proj.")] for letter in "qkv")
            if "vision_tower" in name:
                name, value = name.replace(".q_proj.", ".qkv."), torch.cat([q, k, v])
            else:
                heads, groups = attention.num_attention_heads, attention.num_key_value_heads
                width = q.shape[0] // heads
                split = [q.view(groups, heads // groups, width, -1), k.view(groups, 1, width, -1), v.view(groups, 1, width, -1)]
                value = torch.cat(split, 1).reshape(-1, q.shape[1])
        for old, new in RENAMED + (INTERNLM2 if internlm2 else []):
            name = re.sub(old, new, name)
        made[name] = value
    return made


class Pieces:
    """InternLM2's tokenizer: a sentencepiece model, and tokens that `tokenizer_config.json` declares, its control pieces among them.

    A declared token is split off wherever a text has it (`PreTrainedTokenizer.tokens_trie`); sentencepiece itself would spell `</s>` out.
    """

    def __init__(self):
        self.file = sentencepiece_model()
        self.model = sentencepiece.SentencePieceProcessor(model_proto=self.file)
        start = self.model.get_piece_size()
        self.added = {t: start + i for i, t in enumerate(["<|im_end|>", "<|im_start|>", *SPECIALS])}
        self.declared = {**{t: i for i, t in enumerate(["<unk>", "<s>", "</s>"])}, **self.added}

    def __len__(self):
        return self.model.get_piece_size() + len(self.added)

    def encode(self, text: str) -> list[int]:
        split = re.split("(" + "|".join(map(re.escape, self.declared)) + ")", text)
        return [1] + [i for part in split for i in ([self.declared[part]] if part in self.declared else self.model.encode(part))]

    def decode(self, tokens: list[int], special: bool) -> str:
        names = {i: t for t, i in self.added.items()}
        out, run = "", []
        for token in [*tokens, -1]:
            if 0 <= token < self.model.get_piece_size():
                run.append(token)
                continue
            out += self.model.decode(run) + (names.get(token, "") if special else "")
            run = []
        return out

    def save(self, folder: Path):
        (folder / "tokenizer.model").write_bytes(self.file)
        flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
        write_facts(folder / "tokenizer_config.json", {
            "added_tokens_decoder": {str(i): {"content": t, **flags} for t, i in self.declared.items()},
            "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>", "tokenizer_class": "InternLM2Tokenizer",
            "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]}})


class Words:
    """The byte-level tokenizer of the layout with Qwen2, under the same methods."""

    def __init__(self):
        self.tokenizer = internvl.qwen2_tokenizer()
        self.added = {t: i for t, i in zip(SPECIALS + ["<|im_end|>"], ids(self.tokenizer, *SPECIALS, "<|im_end|>"))}

    def __len__(self):
        return len(self.tokenizer)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer(text)["input_ids"]

    def decode(self, tokens: list[int], special: bool) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=not special)

    def save(self, folder: Path):
        self.tokenizer.save_pretrained(folder)


class Remote(Native):
    """The native model, asked as the published code asks and saved under the published names."""
    words: Pieces | Words
    style: str

    def prompt(self, messages: list[dict]) -> str:
        end = "<|im_end|>\n" if self.style == "internvl2_5" else "<|im_end|>"
        made, several, shown = f"<|im_start|>system\n{SYSTEM[self.style]}{end}", len(pictures_of(messages)) > 1, 0
        for message in messages:
            made += f"<|im_start|>{message['role']}\n"
            for part in parts_of(message):
                if isinstance(part, str):
                    made += part
                    continue
                shown += 1
                rows = (SIDE // PATCH // 2) ** 2 * tiles(part).shape[0]
                made += (f"Image-{shown}: " if several else "") + "<img>" + "<IMG_CONTEXT>" * rows + "</img>\n"
            made += end
        return made + "<|im_start|>assistant\n"

    def inputs(self, messages: list[dict]) -> dict[str, torch.Tensor]:
        row = torch.tensor([self.words.encode(self.prompt(messages))])
        made = {"input_ids": row, "attention_mask": torch.ones_like(row)}
        pictures = pictures_of(messages)
        return {**made, "pixel_values": torch.cat([tiles(image) for image in pictures])} if pictures else made

    def encoded(self, text: str) -> list[int]:
        return self.words.encode(text)

    def text(self, tokens: list[int], special=False) -> str:
        return self.words.decode(tokens, special)

    def save(self, folder: Path):
        self.words.save(folder)
        named = file_names(self.model.state_dict(), self.model.config.text_config, self.style == "internlm2-chat")
        save_file({k: named[k].to(self.dtype).contiguous() for k in sorted(named)}, folder / "model.safetensors", metadata={"format": "pt"})
        write_facts(folder / "config.json", self.config())
        write_facts(folder / "generation_config.json", {"eos_token_id": self.stop})

    def reopened(self, folder: Path) -> Remote:
        written = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
        held = sum(weight.numel() for weight in self.model.parameters())
        if written != held:
            raise ValueError(f"the file holds {written} numbers of {held}")
        return self

    def config(self) -> dict:
        """`config.json` as it was published."""
        text, tower = self.model.config.text_config, self.model.config.vision_config
        fields = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                  "max_position_embeddings", "rms_norm_eps")
        decoder = {**{k: getattr(text, k) for k in fields}, "rope_theta": text.rope_parameters["rope_theta"], "hidden_act": "silu",
                   "tie_word_embeddings": False, "torch_dtype": str(self.dtype).removeprefix("torch.")}
        if self.style == "internlm2-chat":
            decoder |= {"architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "bias": False, "bos_token_id": 1,
                        "eos_token_id": 2, "rope_scaling": {"type": "dynamic", "factor": 2.0}}
        else:
            decoder |= {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_scaling": None, "use_sliding_window": False,
                        "sliding_window": 32768, "eos_token_id": self.stop[0]}
        shape = {k: getattr(tower, k) for k in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")}
        vision = {"architectures": ["InternVisionModel"], "model_type": "intern_vit_6b", **shape, "image_size": SIDE, "patch_size": PATCH,
                  "hidden_act": "gelu", "layer_norm_eps": 1e-6, "norm_type": tower.norm_type, "qk_normalization": tower.use_qk_norm,
                  "qkv_bias": True, "initializer_factor": 1.0}
        return {"architectures": ["InternVLChatModel"], "model_type": "internvl_chat",
                "auto_map": {"AutoConfig": "configuration_internvl_chat.InternVLChatConfig",
                             "AutoModel": "modeling_internvl_chat.InternVLChatModel"},
                "downsample_ratio": 0.5, "dynamic_image_size": True, "force_image_size": SIDE, "max_dynamic_patch": MAX_TILES,
                "min_dynamic_patch": 1, "ps_version": "v2", "select_layer": -1, "template": self.style, "use_thumbnail": True,
                "torch_dtype": decoder["torch_dtype"], "llm_config": decoder, "vision_config": vision}


def remote(e: Extents, words: Pieces | Words, style: str) -> Remote:
    context, end = words.added["<IMG_CONTEXT>"], words.added["<|im_end|>"]
    internlm2 = style == "internlm2-chat"
    text = internvl.llama_text(e, vocabulary(words)) if internlm2 else internvl.qwen2_text(e, vocabulary(words), end)
    made = Remote(internvl.joined(e, text, context, large_tower=internlm2), None, (160, 110), stop=[end],
                  oracle="the native model with the same weights; PIL bicubic tiles")
    made.words, made.style = words, style
    return made


def internvl_chat_internlm2(e: Extents) -> Remote:
    return remote(e, Pieces(), "internlm2-chat")


def internvl_chat_qwen2(e: Extents) -> Remote:
    return remote(e, Words(), "internvl2_5")


FAMILIES = {"internvl_chat_qwen2": (internvl_chat_qwen2, "lean"), "internvl_chat_internlm2": (internvl_chat_internlm2, "small")}
