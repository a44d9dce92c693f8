"""MiniCPM-V 2.5 and 2.6 in their published layout: a SigLIP tower over strips of patches, a resampler, Llama 3 or Qwen2."""
from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import transformers as hf
from PIL import Image
from torch import nn

from .composite import HALF, Composite, Decoder, normalized, parts_of, pictures_of
from .extents import Extents
from .files import write_facts
from .tokenizer import LLAMA3, QWEN2, byte_level, ids, template, vocabulary, wrapped

PATCH, TABLE, QUERIES, TARGET, SLICES = 8, 10, 6, 64, 4  # TARGET: the side of the square whose area a slice has
MARKS = ["<unk>", "<image>", "</image>", "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<point>", "</point>", "<slice>",
         "</slice>"]
PICTURE = "(<image>./</image>)"
LLAMA3_CHAT = ("{% for message in messages %}{{ (bos_token if loop.index0 == 0 else '') + '<|start_header_id|>' + message['role'] + "
               "'<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
               "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}")


def in_patches(length: float) -> int:
    return max(round(length / PATCH) * PATCH, PATCH)


def fitted(width: float, height: float, grow: bool) -> tuple[int, int]:
    """Sides in whole patches, of about TARGET² in area when the picture is larger, or smaller and is to grow."""
    if width * height > TARGET * TARGET or grow:
        ratio = width / height
        height = int(TARGET / math.sqrt(ratio))
        width = int(height * ratio)
    return in_patches(width), in_patches(height)


def grid(width: int, height: int) -> tuple[int, int] | None:
    """Columns and rows of slices; none for a picture that is one slice's size."""
    count = min(math.ceil(width * height / (TARGET * TARGET)), SLICES)
    if count <= 1:
        return None
    wanted, best, nearest = math.log(width / height), (1, 1), float("inf")
    for slices in (count - 1, count, count + 1):
        for columns in (c for c in range(1, slices + 1) if slices % c == 0 and 1 < slices <= SLICES):
            distance = abs(wanted - math.log(columns / (slices // columns)))
            if distance < nearest:
                nearest, best = distance, (columns, slices // columns)
    return best


def whole_cells(length: int, cells: int) -> int:
    return max(round(length / cells) * cells, cells)


def slices(image: Image.Image) -> list[Image.Image]:
    """The picture scaled down, then its slices row by row."""
    shape = grid(*image.size)
    if shape is None:
        return [image.resize(fitted(*image.size, grow=True), Image.BICUBIC)]
    columns, rows = shape
    cell = whole_cells(image.width, columns) / columns, whole_cells(image.height, rows) / rows
    width, height = fitted(*cell, grow=True)
    large = image.resize((width * columns, height * rows), Image.BICUBIC)
    boxes = [(c * width, r * height, (c + 1) * width, (r + 1) * height) for r in range(rows) for c in range(columns)]
    return [image.resize(fitted(*image.size, grow=False), Image.BICUBIC), *(large.crop(box) for box in boxes)]


def strip(pixels: torch.Tensor) -> torch.Tensor:
    """[3, height, width] → [3, PATCH, PATCH · patches]: the patches side by side in raster order."""
    columns = torch.nn.functional.unfold(pixels[None], (PATCH, PATCH), stride=(PATCH, PATCH)).reshape(3, PATCH, PATCH, -1)
    return columns.permute(0, 1, 3, 2).reshape(3, PATCH, -1)


def buckets(count: int) -> torch.Tensor:
    """Which of TABLE places each of `count` patches takes; float32, with its rounding."""
    fractions = torch.arange(0, 1 - 1e-6, 1 / torch.tensor(count, dtype=torch.int32))
    return torch.bucketize(fractions, torch.arange(1 / TABLE, 1.0, 1 / TABLE), right=True)


def sines(dim: int, rows: int, columns: int) -> torch.Tensor:
    """[rows, columns, dim]: half of the channels for the column, half for the row, each sines before cosines."""
    speed = 1.0 / 10000 ** (np.arange(dim // 4, dtype=np.float32) / (dim / 4.0))
    down, across = np.meshgrid(np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32), indexing="ij")
    angles = [np.einsum("hw,d->hwd", place, speed) for place in (across, down)]
    return torch.from_numpy(np.concatenate([f(a) for a in angles for f in (np.sin, np.cos)], -1)).float()


class Tower(nn.Module):
    """SigLIP's blocks with both norms, over patches that come with their places."""

    def __init__(self, config: hf.SiglipVisionConfig):
        super().__init__()
        whole = hf.SiglipVisionModel(config)
        self.embeddings, self.encoder, self.post_layernorm = whole.embeddings, whole.encoder, whole.post_layernorm

    def patches(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.embeddings.patch_embedding(pixels[None]).flatten(2).transpose(1, 2)

    def forward(self, patches: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        placed = patches + self.embeddings.position_embedding(places)[None]
        return self.post_layernorm(self.encoder(inputs_embeds=placed).last_hidden_state)


class Resampler(nn.Module):
    """Learned queries attend to the patches; keys, not values, carry two-dimensional sines."""

    def __init__(self, queries: int, dim: int, width: int):
        super().__init__()
        self.query, self.proj = nn.Parameter(torch.zeros(queries, dim)), nn.Parameter(torch.zeros(dim, dim))
        self.kv_proj, self.attn = nn.Linear(width, dim, bias=False), nn.MultiheadAttention(dim, dim // 128)
        self.ln_q, self.ln_kv, self.ln_post = (nn.LayerNorm(dim, eps=1e-6) for _ in range(3))

    def forward(self, state: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        values = self.ln_kv(self.kv_proj(state))[:, :rows * columns].transpose(0, 1)
        keys = values + sines(self.query.shape[1], rows, columns).reshape(rows * columns, 1, -1)
        return self.ln_post(self.attn(self.ln_q(self.query)[:, None], keys, values, need_weights=False)[0].transpose(0, 1)[0]) @ self.proj


class MiniCPM(Composite):
    version: str
    tokenizer: hf.PreTrainedTokenizerFast
    counted: bool  # each picture begins with its number

    def shown(self, image: Image.Image, number: int) -> str:
        """The tokens of one picture."""
        slots, shape = "<unk>" * QUERIES, grid(*image.size)
        whole = f"<image>{slots}</image>"
        columns, rows = shape or (0, 0)
        if self.counted:
            row = f"<slice>{slots}</slice>" * columns
            return f"<image_id>{number}</image_id>{whole}" + "\n".join([row] * rows)
        return whole + ("<slice>" + "\n".join([whole * columns] * rows) + "</slice>" if shape else "")

    def prompt(self, messages: list[dict]) -> str:
        turns = [{"role": m["role"], "content": "\n".join(p if isinstance(p, str) else PICTURE for p in parts_of(m))} for m in messages]
        made = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        for number, image in enumerate(pictures_of(messages)):
            made = made.replace(PICTURE, self.shown(image, number), 1)
        return made

    def inputs(self, messages: list[dict]) -> dict[str, torch.Tensor]:
        row = self.tokenizer.encode(self.prompt(messages), add_special_tokens=False)
        made = {"input_ids": torch.tensor([row])}
        cut = [normalized(part, HALF) for image in pictures_of(messages) for part in slices(image)]
        if not cut:
            return made
        for index, pixels in enumerate(cut):
            made[f"pixel_values_{index}"] = strip(pixels)
        made["tgt_sizes"] = torch.tensor([[pixels.shape[1] // PATCH, pixels.shape[2] // PATCH] for pixels in cut])
        starts, ends = (ids(self.tokenizer, *names) for names in (("<image>", "<slice>"), ("</image>", "</slice>")))
        if not self.counted:
            starts, ends = starts[:1], ends[:1]
        bounds = zip([i + 1 for i, t in enumerate(row) if t in starts], [i for i, t in enumerate(row) if t in ends])
        made["image_bound"] = torch.tensor(list(bounds))
        return made

    def slots(self, inputs: dict) -> torch.Tensor:
        """Between the marks, where nothing else stands."""
        bounds = inputs.get("image_bound", torch.zeros(0, 2)).tolist()
        return torch.tensor([place for start, end in bounds for place in range(start, end)], dtype=torch.long)

    def seen(self, inputs: dict) -> torch.Tensor:
        sizes = inputs["tgt_sizes"].tolist()
        tower, resampler, longest = self.parts["vpm"], self.parts["resampler"], max(h * w for h, w in sizes)
        rows = []
        for index, (h, w) in enumerate(sizes):
            square = inputs[f"pixel_values_{index}"].reshape(3, PATCH, h, w, PATCH).permute(0, 2, 1, 3, 4).reshape(3, h * PATCH, w * PATCH)
            patches = tower.patches(square)
            if self.counted:
                places = (buckets(h)[:, None] * TABLE + buckets(w)).flatten()
            else:  # patches of zero pixels fill every slice up to the longest, take part in the tower, and all stand in one row
                blank = tower.patches(torch.zeros(3, PATCH, PATCH))
                patches, places = torch.cat([patches, blank.expand(-1, longest - h * w, -1)], 1), buckets(longest)
            rows.append(resampler(tower(patches, places), h, w))
        return torch.cat(rows)

    def recorded(self, inputs: dict) -> dict[str, torch.Tensor]:
        return {f"inputs.{k}" if k == "input_ids" else k: v for k, v in inputs.items()}

    def encoded(self, text: str) -> list[int]:
        return self.tokenizer(text)["input_ids"]

    def text(self, tokens: list[int], special=False) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=not special)

    def weights(self) -> dict[str, torch.Tensor]:
        return {f"{part}.{k}": v for part in ("llm", "vpm", "resampler") for k, v in self.parts[part].state_dict().items()
                if "position_ids" not in k}

    def write_files(self, folder: Path):
        self.tokenizer.save_pretrained(folder)
        write_facts(folder / "generation_config.json", {"eos_token_id": self.stop})
        write_facts(folder / "config.json", self.config())
        write_facts(folder / "preprocessor_config.json", {
            "image_processor_type": "MiniCPMVImageProcessor", "processor_class": "MiniCPMVProcessor", "max_slice_nums": SLICES,
            "scale_resolution": TARGET, "patch_size": PATCH, "use_image_id": self.counted, "image_feature_size": QUERIES,
            "im_start": "<image>", "im_end": "</image>", "slice_start": "<slice>", "slice_end": "</slice>", "unk": "<unk>",
            "im_id_start": "<image_id>", "im_id_end": "</image_id>", "slice_mode": True, "norm_mean": [0.5] * 3, "norm_std": [0.5] * 3,
            "version": float(self.version)})

    def config(self) -> dict:
        text, tower = self.parts["llm"].config, self.parts["vpm"].encoder.config
        shape = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
        fields = (*shape, "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "vocab_size", "bos_token_id", "eos_token_id")
        more = {"use_image_id": True, "vision_batch_size": 16} if self.counted else {}
        return {"architectures": ["MiniCPMV"], "model_type": "minicpmv", "version": float(self.version) if self.counted else self.version,
                "auto_map": {"AutoConfig": "configuration_minicpm.MiniCPMVConfig", "AutoModel": "modeling_minicpmv.MiniCPMV"},
                "batch_vision_input": True, "drop_vision_last_layer": False, **{k: getattr(text, k) for k in fields}, "hidden_act": "silu",
                "rope_theta": text.rope_parameters["rope_theta"], "image_size": 448, "patch_size": PATCH, "query_num": QUERIES,
                "slice_mode": True, "slice_config": {"max_slice_nums": SLICES, "patch_size": PATCH, "scale_resolution": TARGET,
                                                     "model_type": "minicpmv"},
                "tie_word_embeddings": False, "torch_dtype": str(self.dtype).removeprefix("torch."), **more,
                "vision_config": {**{k: getattr(tower, k) for k in shape}, "image_size": TABLE * PATCH, "patch_size": PATCH,
                                  "model_type": "siglip" if self.counted else "idefics2"}}


def built(e: Extents, version: str, tok, decoder, stop: list[int]) -> MiniCPM:
    tower = hf.SiglipVisionConfig(**e.vision(), image_size=TABLE * PATCH, patch_size=PATCH, vision_use_head=False)
    parts = nn.ModuleDict({"llm": decoder, "vpm": Tower(tower), "resampler": Resampler(QUERIES, e.wide, e.width)}).eval()
    made = MiniCPM(parts, Decoder(decoder), (115, 68), stop=stop, placeholder=ids(tok, "<unk>")[0], head=0.3, known={
        "oracle": f"SigLIP's blocks and a resampler written out, transformers' {type(decoder).__name__}"})
    made.version, made.tokenizer, made.counted = version, tok, version == "2.6"
    return made


def text_fields(e: Extents, tok, **more) -> dict:
    return e.text(vocabulary(tok), hidden_size=e.wide, intermediate_size=e.inter, num_attention_heads=4, num_key_value_heads=2, **more)


def minicpmv_2_6(e: Extents) -> MiniCPM:
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *MARKS, "<image_id>", "</image_id>"]
    tok = wrapped(byte_level(QWEN2, specials, nfc=True), bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token="<unk>",
                  pad_token="<|endoftext|>", chat_template=template("minicpmv"))
    stop = ids(tok, "<|im_end|>", "<|endoftext|>")
    config = hf.Qwen2Config(**text_fields(e, tok), bos_token_id=ids(tok, "<|im_start|>")[0], eos_token_id=stop[0])
    return built(e, "2.6", tok, hf.Qwen2ForCausalLM(config), stop)


def minicpmv_2_5(e: Extents) -> MiniCPM:
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", *MARKS]
    tok = wrapped(byte_level(LLAMA3, specials), bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>", unk_token="<unk>",
                  pad_token="!", chat_template=LLAMA3_CHAT)
    stop = ids(tok, "<|end_of_text|>", "<|eot_id|>")
    config = hf.LlamaConfig(**text_fields(e, tok, rms_norm_eps=1e-5), rope_theta=500000.0, bos_token_id=ids(tok, "<|begin_of_text|>")[0],
                            eos_token_id=stop[0])
    return built(e, "2.5", tok, hf.LlamaForCausalLM(config), stop)


FAMILIES = {"minicpmv_2_6": (minicpmv_2_6, "single"), "minicpmv_2_5": (minicpmv_2_5, "single")}
