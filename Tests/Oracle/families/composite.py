"""Families whose own code is not run: their vision half is written out here, their decoder is one of transformers' or written out too."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from oracle import Answer

from .weights import randomize

CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
HALF = ([0.5] * 3, [0.5] * 3)


def normalized(image: Image.Image, constants) -> torch.Tensor:
    """[3, height, width]: levels over 255, less the mean, over the deviation, all in float32."""
    mean, deviation = (torch.tensor(numbers)[:, None, None] for numbers in constants)
    levels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float().div(255)
    return (levels - mean) / deviation


def parts_of(message: dict) -> list:
    """A turn's texts and pictures in order."""
    return [part.get("text", part.get("image")) for part in message["content"]]


def pictures_of(messages: list[dict]) -> list[Image.Image]:
    return [part for message in messages for part in parts_of(message) if isinstance(part, Image.Image)]


class Decoder:
    """One of transformers' causal decoders, fed with embeddings."""

    def __init__(self, model):
        self.model = model

    def embed(self, row: torch.Tensor) -> torch.Tensor:
        return self.model.get_input_embeddings()(row)

    def step(self, embeddings: torch.Tensor, cache):
        out = self.model(inputs_embeds=embeddings, past_key_values=cache, use_cache=True)
        return out.logits, out.past_key_values


@dataclass
class Composite:
    """Asked as `Native` is; a family overrides how turns become inputs, what the vision half makes, and how the directory is written."""
    parts: torch.nn.Module
    decoder: Any
    image: tuple[int, int]
    stop: list[int]
    placeholder: int
    dtype: torch.dtype = torch.bfloat16
    embed: float = 1.0
    head: float = 0.6
    question: str | None = None
    has_cases: bool = True
    sees: bool = True
    known: dict = field(default_factory=dict)  # what `expected.json` says besides

    def prompt(self, messages: list[dict]) -> str:
        raise NotImplementedError

    def inputs(self, messages: list[dict]) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def seen(self, inputs: dict) -> torch.Tensor:
        """All rows of features in prompt order."""
        raise NotImplementedError

    def slots(self, inputs: dict) -> torch.Tensor:
        """Which tokens of the prompt the features stand for."""
        return (inputs["input_ids"][0] == self.placeholder).nonzero()[:, 0]

    def weights(self) -> dict[str, torch.Tensor]:
        """Every tensor by its published name."""
        raise NotImplementedError

    def write_files(self, folder: Path):
        """All files but the weights."""
        raise NotImplementedError

    def encoded(self, text: str) -> list[int]:
        """What the family's tokenizer makes of a text outside of any conversation."""
        raise NotImplementedError

    def text(self, tokens: list[int], special=False) -> str:
        raise NotImplementedError

    def randomize(self, seed: int):
        randomize(self.parts, seed, self.dtype, self.embed, self.head)

    def embeddings(self, inputs: dict) -> torch.Tensor:
        slots = self.slots(inputs)
        made = self.decoder.embed(inputs["input_ids"].clamp_min(0)).clone()
        if len(slots):
            made[0, slots] = self.seen(inputs)
        return made

    @torch.no_grad()
    def generate(self, inputs: dict, steps: int) -> tuple[list[int], torch.Tensor]:
        logits, cache = self.decoder.step(self.embeddings(inputs), None)
        tokens, rows = [], []
        while True:
            rows.append(logits[0, -1].float())
            tokens.append(int(rows[-1].argmax()))
            if tokens[-1] in self.stop or len(tokens) == steps:
                return tokens, torch.stack(rows)
            logits, cache = self.decoder.step(self.decoder.embed(torch.tensor([[tokens[-1]]])), cache)

    def ask(self, messages: list[dict], steps: int) -> Answer:
        inputs = self.inputs(messages)
        return Answer(self.prompt(messages), inputs, *self.generate(inputs, steps))

    @torch.no_grad()
    def states(self, inputs: dict) -> dict[str, torch.Tensor]:
        out = {"prefill_logits": self.decoder.step(self.embeddings(inputs), None)[0][0].float()}
        if len(self.slots(inputs)):
            out["image_features"] = self.seen(inputs)
        return out

    def save(self, folder: Path):
        tensors = {k: v.detach().to(self.dtype).contiguous() for k, v in sorted(self.weights().items())}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        self.write_files(folder)

    def reopened(self, folder: Path) -> Composite:
        """The same modules, once the file is seen to hold every one of their numbers."""
        written = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
        held = sum(weight.numel() for weight in self.parts.parameters())
        if written != held:
            raise ValueError(f"the file holds {written} numbers of {held}")
        return self

    def recorded(self, inputs: dict) -> dict[str, torch.Tensor]:
        """The inputs as `expected.safetensors` names them."""
        return {f"inputs.{k}": v for k, v in inputs.items()}

    def steps(self, answer: Answer) -> dict[str, torch.Tensor]:
        """What is recorded of every step."""
        return {"step_logits": answer.logits}

    def facts(self) -> dict:
        return self.known
