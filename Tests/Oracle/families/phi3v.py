"""Phi-3.5-vision in its published layout: CLIP at 336, tiles stitched in two dimensions, Phi-3."""
from __future__ import annotations

import math
import re
from pathlib import Path

import torch
import transformers as hf
from PIL import Image
from torch import nn
from torch.nn import functional as F

from .composite import CLIP, Composite, Decoder, normalized, parts_of, pictures_of
from .extents import Extents
from .files import write_facts
from .tokenizer import ids, pieces, template, vocabulary, wrapped

TILE, CELLS, CROPS = 336, 12, 4  # the published code knows no other tile; a tile is CELLS by CELLS rows
TRAINED = 256  # positions; with a picture every prompt is longer
EVERY = 48  # of the crops' rows of pixels, one in so many is recorded


def framed(image: Image.Image) -> Image.Image:
    """A landscape picture scaled to whole tiles' width and filled with white above and below; a portrait one on its side."""
    upright = image.width < image.height
    image = image.transpose(Image.TRANSPOSE) if upright else image
    ratio, tiles = image.width / image.height, 1
    while tiles * math.ceil(tiles / ratio) <= CROPS:
        tiles += 1
    width = (tiles - 1) * TILE
    image = image.resize((width, int(width / ratio)), Image.BILINEAR)
    target = math.ceil(image.height / TILE) * TILE
    page = Image.new("RGB", (width, target), (255, 255, 255))
    page.paste(image, (0, int((target - image.height) / 2)))
    return page.transpose(Image.TRANSPOSE) if upright else page


def crops(image: Image.Image) -> tuple[torch.Tensor, list[int]]:
    """[CROPS + 1, 3, TILE, TILE]: the whole, its tiles row by row, zeros; and the page's height and width."""
    page = normalized(framed(image), CLIP)
    height, width = page.shape[1:]
    whole = F.interpolate(page[None], size=(TILE, TILE), mode="bicubic")
    cut = page.reshape(3, height // TILE, TILE, width // TILE, TILE).permute(1, 3, 0, 2, 4).reshape(-1, 3, TILE, TILE)
    return torch.cat([whole, cut, torch.zeros(CROPS - len(cut), 3, TILE, TILE)]), [height, width]


def stitched(state: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """[tiles, 24 · 24, C] → [rows · 12, columns · 12, 4C]: every two by two patches one cell, the tiles side by side."""
    width = state.shape[-1]
    cells = state.reshape(-1, CELLS, 2, CELLS, 2, width).permute(0, 1, 3, 2, 4, 5).reshape(rows, columns, CELLS, CELLS, 4 * width)
    return cells.permute(0, 2, 1, 3, 4).reshape(rows * CELLS, columns * CELLS, 4 * width)


def tokens(size: list[int]) -> int:
    rows, columns = size[0] // TILE, size[1] // TILE
    return (rows * columns + 1) * CELLS * CELLS + 1 + (rows + 1) * CELLS


class Phi3V(Composite):
    tokenizer: hf.PreTrainedTokenizerFast

    def prompt(self, messages: list[dict]) -> str:
        turns, shown = [], 0
        for message in messages:
            text = ""
            for part in parts_of(message):
                shown += not isinstance(part, str)
                text += part if isinstance(part, str) else f"<|image_{shown}|>\n"
            turns.append({"role": message["role"], "content": text})
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    def inputs(self, messages: list[dict]) -> dict[str, torch.Tensor]:
        """Every text between pictures is tokenized for itself, with a beginning of its own; picture k stands as -k."""
        texts = [self.tokenizer(text)["input_ids"] for text in re.split(r"<\|image_\d+\|>", self.prompt(messages))]
        pictures = [crops(image) for image in pictures_of(messages)]
        row = list(texts[0])
        for number, (text, (_, size)) in enumerate(zip(texts[1:], pictures), start=1):
            row += [-number] * tokens(size) + text
        made = {"input_ids": torch.tensor([row])}
        if not pictures:
            return made
        return {**made, "image_sizes": torch.tensor([size for _, size in pictures]),
                "pixel_values": torch.stack([pixels for pixels, _ in pictures])}

    def slots(self, inputs: dict) -> torch.Tensor:
        return (inputs["input_ids"][0] < 0).nonzero()[:, 0]

    def with_ends(self, grid: torch.Tensor) -> torch.Tensor:
        """Every row of cells and the mark that ends it."""
        mark = self.parts["marks"]["sub_GN"][0].expand(len(grid), 1, -1)
        return torch.cat([grid, mark], 1).flatten(0, 1)

    def seen(self, inputs: dict) -> torch.Tensor:
        rows = []
        for pixels, (height, width) in zip(inputs["pixel_values"], (inputs["image_sizes"] // TILE).tolist()):
            state = self.parts["clip"](pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
            tiles = self.with_ends(stitched(state[1:1 + height * width], height, width))
            rows += [tiles, self.parts["marks"]["glb_GN"][0], self.with_ends(stitched(state[:1], 1, 1))]
        return self.parts["projection"](torch.cat(rows))

    def recorded(self, inputs: dict) -> dict[str, torch.Tensor]:
        """Of the crops only some rows: whole they are megabytes; `cases.json` has their digests."""
        kept = {f"inputs.{k}": v for k, v in inputs.items() if k != "pixel_values"}
        first, second = inputs["pixel_values"][0, :2, :, ::EVERY].clone()
        return {**kept, "pixel_values_first_crop_rows": first, "pixel_values_second_crop_rows": second}

    def encoded(self, text: str) -> list[int]:
        return self.tokenizer(text)["input_ids"]

    def text(self, tokens: list[int], special=False) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=not special)

    def weights(self) -> dict[str, torch.Tensor]:
        vision = "model.vision_embed_tokens."
        clip = {k.removeprefix("vision_model."): v for k, v in self.parts["clip"].state_dict().items() if "position_ids" not in k}
        return {**self.parts["decoder"].state_dict(),
                **{f"{vision}img_processor.vision_model.{k}": v for k, v in clip.items()},
                **{f"{vision}img_projection.{k}": v for k, v in self.parts["projection"].state_dict().items()},
                **{vision + k: v for k, v in self.parts["marks"].items()}}

    def write_files(self, folder: Path):
        self.tokenizer.save_pretrained(folder)
        write_facts(folder / "config.json", self.config())
        write_facts(folder / "preprocessor_config.json", {
            "image_processor_type": "Phi3VImageProcessor", "processor_class": "Phi3VProcessor", "num_crops": CROPS, "image_mean": CLIP[0],
            "image_std": CLIP[1], "num_img_tokens": CELLS * CELLS})
        write_facts(folder / "generation_config.json", {"eos_token_id": self.stop, "bos_token_id": 1, "pad_token_id": 0})

    def config(self) -> dict:
        """The published config.json; it has no sizes of the tower, which `_tiny_override` adds."""
        text, tower = self.parts["decoder"].config, self.parts["clip"].config
        fields = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                  "max_position_embeddings", "rms_norm_eps", "vocab_size", "bos_token_id", "eos_token_id", "sliding_window")
        rope = {"type": "su", **{k: text.rope_parameters[k] for k in ("short_factor", "long_factor")}}
        shape = {k: getattr(tower, k) for k in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                                                "image_size", "patch_size", "hidden_act")}
        return {"architectures": ["Phi3VForCausalLM"], "model_type": "phi3_v",
                "auto_map": {"AutoConfig": "configuration_phi3_v.Phi3VConfig", "AutoModelForCausalLM": "modeling_phi3_v.Phi3VForCausalLM"},
                "attention_dropout": 0.0, **{k: getattr(text, k) for k in fields}, "hidden_act": "silu",
                "embd_layer": {"embedding_cls": "image", "hd_transform_order": "sub_glb", "projection_cls": "mlp", "use_hd_transform": True,
                               "with_learnable_separator": True},
                "img_processor": {"image_dim_out": tower.hidden_size, "model_name": "openai/clip-vit-large-patch14-336",
                                  "name": "clip_vision_model", "num_img_tokens": CELLS * CELLS, "_tiny_override": shape},
                "original_max_position_embeddings": TRAINED, "rope_scaling": rope, "rope_theta": 10000.0, "tie_word_embeddings": False,
                "torch_dtype": str(self.dtype).removeprefix("torch."), "use_cache": True}


def phi3_v(e: Extents) -> Phi3V:
    marks = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>", "<|image|>"]
    tok = wrapped(pieces("legacy", marks, rstrip=("<|assistant|>", "<|image|>")), bos_token="<s>", eos_token="<|endoftext|>",
                  unk_token="<unk>", pad_token="<|endoftext|>", chat_template=template("phi3"))
    half = e.head // 2
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0 + 0.05 * i for i in range(half)],
            "long_factor": [1.0 + 1.5 * i for i in range(half)], "original_max_position_embeddings": TRAINED}
    fields = e.text(vocabulary(tok), num_key_value_heads=e.heads, max_position_embeddings=8192, rms_norm_eps=1e-5)
    decoder = hf.Phi3ForCausalLM(hf.Phi3Config(**fields, original_max_position_embeddings=TRAINED, rope_parameters=rope,
                                               sliding_window=8192, bos_token_id=1, eos_token_id=2, pad_token_id=0))
    clip = hf.CLIPVisionModel(hf.CLIPVisionConfig(**e.vision(num_hidden_layers=e.depth + 1), image_size=TILE, patch_size=14,
                                                  projection_dim=32, hidden_act="quick_gelu"))
    projection = nn.Sequential(nn.Linear(4 * e.width, e.hidden), nn.GELU(), nn.Linear(e.hidden, e.hidden))
    ends = nn.ParameterDict({"glb_GN": torch.zeros(1, 1, 4 * e.width), "sub_GN": torch.zeros(1, 1, 1, 4 * e.width)})
    parts = nn.ModuleDict({"decoder": decoder, "clip": clip, "projection": projection, "marks": ends}).eval()
    made = Phi3V(parts, Decoder(decoder), (150, 100), stop=ids(tok, "<|end|>", "<|endoftext|>") + [2], placeholder=-1, known={
        "oracle": "transformers' CLIP and Phi3ForCausalLM, the tiles' transform written out", "input_ids_note": "picture k stands as -k",
        "num_crops": CROPS, "pixel_rows": f"every {EVERY}th row of the first two crops"})
    made.tokenizer = tok
    return made


FAMILIES = {"phi3_v": (phi3_v, "lean")}
