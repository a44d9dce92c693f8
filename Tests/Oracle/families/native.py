"""A family that transformers has classes for: asked, saved, and opened again through the Auto classes."""
from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import torch
import transformers
from PIL import Image

from oracle import Answer

from .weights import randomize


def user(*parts: str | Image.Image) -> dict:
    """One turn of texts and pictures in their order."""
    kinds = ["text" if isinstance(part, str) else "image" for part in parts]
    return {"role": "user", "content": [{"type": kind, kind: part} for kind, part in zip(kinds, parts)]}


def assistant(text: str) -> dict:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def plain_replies(messages: list[dict]) -> list[dict]:
    """The same turns with replies as strings, which some templates want."""
    return [{**m, "content": m["content"][0]["text"]} if m["role"] == "assistant" else m for m in messages]


def parts_as_text(messages: list[dict]) -> list[dict]:
    """The same turns with all contents as strings."""
    return [{**m, "content": "".join(part["text"] for part in m["content"])} for m in messages]


def copied(inputs: dict) -> dict:
    return {k: v.clone() for k, v in inputs.items()}


@dataclass
class Native:
    """Model, processor and picture, and the numbers that a directory of it is written with."""
    model: Any
    processor: Any
    image: tuple[int, int]
    stop: list[int]
    pad: int = 0
    dtype: torch.dtype = torch.bfloat16
    embed: float = 1.0
    head: float = 0.6
    bare: bool = False  # without a chat template: pictures' placeholders, then the texts
    question: str | None = None
    oracle: str | None = None
    rewrites: tuple[Callable[[Path], None], ...] = ()  # what is done to the files after they are saved
    has_cases: bool = True
    sees: bool = True  # has a vision half

    def __post_init__(self):
        self.model = self.model.eval().float()
        self.model.generation_config.eos_token_id = self.stop
        self.model.generation_config.pad_token_id = self.pad

    @property
    def placeholder(self) -> int:
        """The id that stands for one row of a picture's features."""
        config = self.model.config
        return getattr(config, "image_token_id", None) or config.image_token_index

    def slots(self, inputs: dict) -> torch.Tensor:
        """Which tokens of the prompt the features stand for."""
        return (inputs["input_ids"][0] == self.placeholder).nonzero()[:, 0]

    def randomize(self, seed: int):
        randomize(self.model, seed, self.dtype, self.embed, self.head)

    def prompt(self, messages: list[dict]) -> str:
        if self.bare:
            parts = [part for message in messages for part in message["content"]]
            return "<image>" * sum("image" in p for p in parts) + " ".join(p["text"] for p in parts if "text" in p)
        return self.templated(messages, tokenize=False)

    def templated(self, messages: list[dict], **how):
        how |= {"add_generation_prompt": True, "chat_template": self.processor.chat_template or self.processor.tokenizer.chat_template}
        try:
            return self.processor.apply_chat_template(messages, **how)
        except TypeError:
            return self.processor.apply_chat_template(plain_replies(messages), **how)

    def inputs(self, messages: list[dict]) -> dict[str, torch.Tensor]:
        """Everything the processor makes of the turns; a batch of one."""
        if self.bare:
            images = [p["image"] for m in messages for p in m["content"] if "image" in p]
            made = self.processor(text=[self.prompt(messages)], images=[images] if images else None, return_tensors="pt")
        else:
            made = self.templated(messages, tokenize=True, return_dict=True, return_tensors="pt")
        return {k: v for k, v in made.items() if isinstance(v, torch.Tensor) and k != "labels"}

    @torch.no_grad()
    def generate(self, inputs: dict, steps: int) -> tuple[list[int], torch.Tensor]:
        out = self.model.generate(**copied(inputs), max_new_tokens=steps, do_sample=False, return_dict_in_generate=True, output_logits=True)
        return out.sequences[0, inputs["input_ids"].shape[1]:].tolist(), torch.stack([row[0] for row in out.logits]).float()

    def ask(self, messages: list[dict], steps: int) -> Answer:
        inputs = self.inputs(messages)
        return Answer(self.prompt(messages), inputs, *self.generate(inputs, steps))

    def encoded(self, text: str) -> list[int]:
        return self.processor.tokenizer(text)["input_ids"]

    def text(self, tokens: list[int], special=False) -> str:
        return self.processor.tokenizer.decode(tokens, skip_special_tokens=not special)

    @torch.no_grad()
    def states(self, inputs: dict) -> dict[str, torch.Tensor]:
        """What is compared inside: features of the pictures, positions, logits of the whole prompt."""
        out = {"prefill_logits": self.model(**copied(inputs)).logits[0].float()}
        core = self.model.model
        if any(k.startswith("pixel_values") for k in inputs):
            out |= features(core, inputs)
        if hasattr(core, "get_rope_index"):
            known = inspect.signature(core.get_rope_index).parameters
            out["position_ids"], out["rope_deltas"] = core.get_rope_index(**{k: v for k, v in inputs.items() if k in known})
        return out

    def save(self, folder: Path):
        """The directory as transformers writes it, in `dtype`; the model's buffers are spoilt by that, so it is opened anew for records."""
        self.model.to(self.dtype).save_pretrained(folder)
        self.processor.save_pretrained(folder)
        compact(folder / "tokenizer.json")
        for rewrite in self.rewrites:
            rewrite(folder)

    def reopened(self, folder: Path) -> Native:
        model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        return replace(self, model=model, processor=transformers.AutoProcessor.from_pretrained(folder))

    def recorded(self, inputs: dict) -> dict[str, torch.Tensor]:
        """The inputs as `expected.safetensors` names them."""
        return {f"inputs.{k}": v for k, v in inputs.items()}

    def steps(self, answer: Answer) -> dict[str, torch.Tensor]:
        """What is recorded of every step."""
        return {"step_logits": answer.logits}

    def facts(self) -> dict:
        """What else `expected.json` says about the record."""
        return {"oracle": self.oracle} if self.oracle else {}


def compact(file: Path):
    """The same JSON without its spaces."""
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")), ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def features(core, inputs: dict) -> dict[str, torch.Tensor]:
    """Rows of the vision half in prompt order, and features for later layers."""
    accepted = inspect.signature(core.get_image_features).parameters
    given = {k: v for k, v in inputs.items() if k in accepted and k not in ("input_ids", "attention_mask")}
    made = core.get_image_features(**copied(given))
    pooled = getattr(made, "pooler_output", made)
    pooled = pooled if isinstance(pooled, (list, tuple)) else [pooled]
    out = {"image_features": torch.cat([rows.reshape(-1, rows.shape[-1]) for rows in pooled])}
    for index, rows in enumerate(getattr(made, "deepstack_features", None) or []):
        out[f"deepstack_{index}"] = torch.cat(list(rows)) if isinstance(rows, (list, tuple)) else rows
    return out
