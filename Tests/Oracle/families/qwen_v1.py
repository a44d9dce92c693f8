"""Qwen-VL, the first, in its published layout (QWenLMHeadModel with a vision tower), written out whole."""
from __future__ import annotations

import base64
import math
import unicodedata
from pathlib import Path

import tiktoken
import torch
from PIL import Image
from tokenizers import pre_tokenizers
from torch import nn
from torch.nn import functional as F

from .composite import CLIP, Composite, normalized, parts_of, pictures_of
from .extents import Extents
from .files import write_facts
from .minicpm_remote import sines
from .tokenizer import QWEN2, demo_merges

SLOTS, SIDE = 256, 16  # a picture is SLOTS rows; the tables of places are SIDE by SIDE


class Norm(nn.Module):
    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class Block(nn.Module):
    """A decoder layer: rotary positions, queries beyond the trained length scaled by a logarithm, w1(x) · silu(w2(x))."""

    def __init__(self, config: dict):
        super().__init__()
        dim, inner, eps = config["hidden_size"], config["intermediate_size"] // 2, config["layer_norm_epsilon"]
        self.ln_1, self.ln_2, self.heads = Norm(dim, eps), Norm(dim, eps), config["num_attention_heads"]
        self.attn = nn.ModuleDict({"c_attn": nn.Linear(dim, 3 * dim), "c_proj": nn.Linear(dim, dim, bias=False)})
        self.mlp = nn.ModuleDict({"w1": nn.Linear(dim, inner, bias=False), "w2": nn.Linear(dim, inner, bias=False),
                                  "c_proj": nn.Linear(inner, dim, bias=False)})

    def forward(self, x, angles, scale, past):
        count, width = x.shape[1], x.shape[2] // self.heads
        q, k, v = (part.unflatten(-1, (self.heads, width)) for part in self.attn["c_attn"](self.ln_1(x)).chunk(3, -1))
        cos, sin = (f(angles[-count:])[None, :, None] for f in (torch.cos, torch.sin))
        q, k = (t * cos + torch.cat([-t[..., width // 2:], t[..., :width // 2]], -1) * sin for t in (q, k))
        if past is not None:
            k, v = torch.cat([past[0], k], 1), torch.cat([past[1], v], 1)
        total = k.shape[1]
        q = q * scale[total - count:total][None, :, None, None]
        hidden = torch.full((count, total), float("-inf")).triu(total - count + 1)
        weights = (torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(width) + hidden).softmax(-1)
        x = x + self.attn["c_proj"](torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2))
        h = self.ln_2(x)
        return x + self.mlp["c_proj"](self.mlp["w1"](h) * F.silu(self.mlp["w2"](h))), (k, v)


class VisionAttention(nn.Module):
    """Rows of in_proj are q, k, v of the first head, then of the next."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.in_proj, self.out_proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x):
        head = x.shape[1] // self.heads
        q, k, v = self.in_proj(x).view(len(x), self.heads, 3 * head).split(head, -1)
        weights = torch.einsum("qhd,khd->hqk", q / math.sqrt(head), k).softmax(-1)
        return self.out_proj(torch.einsum("hqk,khd->qhd", weights, v).flatten(1))


class VisionBlock(nn.Module):
    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = VisionAttention(width, heads)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, inner), "c_proj": nn.Linear(inner, width)})

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x))))


def stretched(table: torch.Tensor, count: int) -> torch.Tensor:
    """A square table of places for another square count, by bicubic interpolation."""
    side, wanted = math.isqrt(len(table)), math.isqrt(count)
    if side == wanted:
        return table
    image = table.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    return F.interpolate(image, size=(wanted, wanted), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).flatten(0, 2)


class Visual(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        width, dim, patch = config["width"], config["output_dim"], config["patch_size"]
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.positional_embedding = nn.Parameter(torch.zeros(SIDE * SIDE, width))
        blocks = [VisionBlock(width, config["heads"], int(width * config["mlp_ratio"])) for _ in range(config["layers"])]
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(blocks)})
        self.attn_pool = nn.ModuleDict({"kv_proj": nn.Linear(width, dim, bias=False), "attn": nn.MultiheadAttention(dim, dim // 128),
                                        "ln_q": nn.LayerNorm(dim, eps=1e-6), "ln_kv": nn.LayerNorm(dim, eps=1e-6)})
        self.attn_pool.register_parameter("pos_embed", nn.Parameter(torch.zeros(SLOTS, dim)))
        self.attn_pool.register_parameter("query", nn.Parameter(torch.zeros(SLOTS, dim)))
        self.ln_pre, self.ln_post = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.proj = nn.Parameter(torch.zeros(dim, dim))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.conv1(pixels[None])[0].flatten(1).T
        x = self.ln_pre(x + stretched(self.positional_embedding, len(x)))
        for block in self.transformer["resblocks"]:
            x = block(x)
        pool = self.attn_pool
        values, queries = pool["ln_kv"](pool["kv_proj"](x)), pool["ln_q"](pool.query) + pool.pos_embed
        keys = values + stretched(pool.pos_embed, len(x))
        return self.ln_post(pool["attn"](queries[:, None], keys[:, None], values[:, None], need_weights=False)[0][:, 0]) @ self.proj


class Whole(nn.Module):
    """The published module, and its decoder's steps; the rotary base grows with the prompt's length and stays for its answer."""

    def __init__(self, config: dict):
        super().__init__()
        blocks = nn.ModuleList([Block(config) for _ in range(config["num_hidden_layers"])])
        dim, rows = config["hidden_size"], config["vocab_size"]
        self.transformer = nn.ModuleDict({"wte": nn.Embedding(rows, dim), "h": blocks, "ln_f": Norm(dim, config["layer_norm_epsilon"]),
                                          "visual": Visual(config["visual"])})
        self.lm_head, self.config = nn.Linear(dim, rows, bias=False), config
        trained = config["seq_length"]
        self.scale = torch.tensor([math.log(i, trained) if i > trained else 1.0 for i in range(1, 8193)])

    def embed(self, row: torch.Tensor) -> torch.Tensor:
        return self.transformer["wte"](row)

    def step(self, x, cache):
        past, alpha = cache or ([None] * len(self.transformer["h"]), None)
        total = x.shape[1] + (past[0][0].shape[1] if cache else 0)
        alpha = alpha or max(2 ** math.ceil(math.log2(total / self.config["seq_length"]) + 1) - 1, 1)
        width = self.config["kv_channels"]
        base = self.config["rotary_emb_base"] * alpha ** (width / (width - 2))
        turns = torch.outer(torch.arange(total).float(), 1.0 / base ** (torch.arange(0, width, 2).float() / width))
        kept = []
        for block, before in zip(self.transformer["h"], past):
            x, state = block(x, torch.cat([turns, turns], -1), self.scale, before)
            kept.append(state)
        return self.lm_head(self.transformer["ln_f"](x)), (kept, alpha)


class Ranks:
    """The `qwen.tiktoken` file: bytes, then merged pieces, each with its rank; special tokens follow."""
    NAMES = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205)), "<ref>", "</ref>", "<box>", "</box>",
             "<quad>", "</quad>", "<img>", "</img>", "<imgpad>"]

    def __init__(self, merges=24):
        byte_of = {letter: byte for byte, letter in enumerate(self.letters())}
        pieces = [bytes(byte_of[letter] for letter in a + b) for a, b in demo_merges()[:merges]]
        self.ranks = {piece: rank for rank, piece in enumerate([*(bytes([b]) for b in range(256)), *pieces])}
        self.special = {name: len(self.ranks) + i for i, name in enumerate(self.NAMES)}
        self.encoding = tiktoken.Encoding("qwen", pat_str=QWEN2, mergeable_ranks=self.ranks, special_tokens=self.special)

    @staticmethod
    def letters() -> list[str]:
        """The letter by which byte-level BPE writes each byte."""
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [byte for byte in range(256) if byte not in shown]
        known = {**{byte: chr(byte) for byte in shown}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}
        if set(known.values()) != set(pre_tokenizers.ByteLevel.alphabet()):
            raise ValueError("the alphabet differs")
        return [known[byte] for byte in range(256)]

    def encode(self, text: str) -> list[int]:
        """The path between a picture's marks becomes its bytes, as ids, and pads."""
        row, out = self.encoding.encode(unicodedata.normalize("NFC", text), allowed_special="all"), []
        while self.special["<img>"] in row:
            start, end = row.index(self.special["<img>"]), row.index(self.special["</img>"])
            path = b"".join(self.encoding.decode_single_token_bytes(token) for token in row[start + 1:end])
            out += [*row[:start + 1], *path, *[self.special["<imgpad>"]] * (SLOTS - len(path)), row[end]]
            row = row[end + 1:]
        return out + row


class QwenVL(Composite):
    ranks: Ranks

    def written(self, messages: list[dict]) -> list[tuple[str, str]]:
        """Role and text of every turn; pictures are counted through."""
        turns, shown = [], 0
        for message in messages:
            text = ""
            for part in parts_of(message):
                if isinstance(part, Image.Image):
                    shown += 1
                    part = f"Picture {shown}:<img>assets/image{shown if shown > 1 else ''}.png</img>\n"
                text += part
            turns.append((message["role"], text))
        return turns

    def prompt(self, messages: list[dict]) -> str:
        turns = [("system", "You are a helpful assistant."), *self.written(messages)]
        return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"

    def inputs(self, messages: list[dict]) -> dict[str, torch.Tensor]:
        encode, special, newline = self.ranks.encode, self.ranks.special, self.ranks.encode("\n")
        row = []
        for role, text in [("system", "You are a helpful assistant."), *self.written(messages)]:
            row += [special["<|im_start|>"], *encode(role), *newline, *encode(text), special["<|im_end|>"], *newline]
        row += [special["<|im_start|>"], *encode("assistant"), *newline]
        made, side = {"input_ids": torch.tensor([row])}, self.parts.config["visual"]["image_size"]
        pictures = [normalized(image.resize((side, side), Image.BICUBIC), CLIP) for image in pictures_of(messages)]
        return {**made, "pixel_values": torch.stack(pictures)} if pictures else made

    def slots(self, inputs: dict) -> torch.Tensor:
        starts = (inputs["input_ids"][0] == self.ranks.special["<img>"]).nonzero()[:, 0]
        return (starts[:, None] + 1 + torch.arange(SLOTS)).flatten()

    def seen(self, inputs: dict) -> torch.Tensor:
        return torch.cat([self.parts.transformer["visual"](pixels) for pixels in inputs["pixel_values"]])

    def randomize(self, seed: int):
        super().randomize(seed)
        places = self.parts.transformer["visual"].attn_pool.pos_embed
        places.data.copy_(sines(places.shape[1], SIDE, SIDE).flatten(0, 1).to(self.dtype))

    def encoded(self, text: str) -> list[int]:
        return self.ranks.encode(text)

    def text(self, tokens: list[int], special=False) -> str:
        known = len(self.ranks.ranks) + (len(self.ranks.special) if special else 0)
        return self.ranks.encoding.decode([t for t in tokens if t < known])

    def weights(self) -> dict[str, torch.Tensor]:
        return self.parts.state_dict()

    def write_files(self, folder: Path):
        rows = "".join(f"{base64.b64encode(piece).decode()} {rank}\n" for piece, rank in self.ranks.ranks.items())
        (folder / "qwen.tiktoken").write_text(rows)
        write_facts(folder / "config.json", self.parts.config)
        end = self.ranks.special["<|endoftext|>"]
        write_facts(folder / "generation_config.json", {
            "chat_format": "chatml", "eos_token_id": end, "pad_token_id": end, "max_window_size": 6144, "max_new_tokens": 512,
            "do_sample": True, "top_k": 0, "top_p": 0.5})
        write_facts(folder / "tokenizer_config.json", {
            "model_max_length": 8192, "tokenizer_class": "QWenTokenizer",
            "auto_map": {"AutoTokenizer": ["tokenization_qwen.QWenTokenizer", None]}})


def config(e: Extents, ranks: Ranks, dtype: torch.dtype) -> dict:
    visual = {"heads": e.vision_heads, "image_size": 56, "image_start_id": ranks.special["<img>"], "layers": e.depth, "mlp_ratio": 1.9231,
              "output_dim": e.wide, "patch_size": 7, "width": e.width}
    kind = str(dtype).removeprefix("torch.")
    return {"architectures": ["QWenLMHeadModel"], "model_type": "qwen", "auto_map": {
                "AutoConfig": "configuration_qwen.QWenConfig", "AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel"},
            "attn_dropout_prob": 0.0, "emb_dropout_prob": 0.0, "bf16": kind == "bfloat16", "fp16": kind == "float16",
            "fp32": kind == "float32", "hidden_size": e.wide, "intermediate_size": 2 * e.inter, "initializer_range": 0.02,
            "kv_channels": e.wide // 4, "layer_norm_epsilon": 1e-6, "max_position_embeddings": 8192, "no_bias": True,
            "num_attention_heads": 4, "num_hidden_layers": e.layers, "onnx_safe": None, "rotary_emb_base": 10000, "rotary_pct": 1.0,
            "scale_attn_weights": True, "seq_length": 128, "tie_word_embeddings": False, "tokenizer_type": "QWenTokenizer",
            "use_cache": True, "use_dynamic_ntk": True, "use_flash_attn": False, "use_logn_attn": True,
            "vocab_size": -(-(len(ranks.ranks) + len(ranks.special)) // 8) * 8, "torch_dtype": kind, "visual": visual}


def qwen_vl(e: Extents) -> QwenVL:
    ranks = Ranks()
    model = Whole(config(e, ranks, torch.bfloat16)).eval()
    stop = [ranks.special[name] for name in ("<|im_end|>", "<|im_start|>", "<|endoftext|>")]
    made = QwenVL(model, model, (150, 100), stop=stop, placeholder=ranks.special["<imgpad>"], head=0.3, known={
        "oracle": "the published modules written out", "image_path_in_prompt": "assets/image.png", "stop_ids": stop})
    made.ranks = ranks
    return made


FAMILIES = {"qwen_vl": (qwen_vl, "single")}
