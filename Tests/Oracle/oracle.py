"""What `transformers` says about a Qwen2-VL directory: the one place where the fixtures' scripts load, ask and write down."""
from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import transformers
from PIL import Image
from safetensors.torch import save_file

transformers.utils.logging.disable_progress_bar()
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "Artifacts" / "Demo"
sys.path.insert(0, str(DEMO / "training"))  # scenes.py


@dataclass
class Answer:
    """One greedy generation: the prompt's tensors, the new tokens, one row of logits per new token."""
    prompt: str
    inputs: dict[str, torch.Tensor]
    tokens: list[int]
    logits: torch.Tensor

    @property
    def margins(self) -> list[float]:
        """How far the chosen token leads before the next one, per step."""
        best = self.logits.topk(2, -1).values
        return [round(float(m), 4) for m in best[:, 0] - best[:, 1]]

    @property
    def lead(self) -> float:
        return min(self.margins)


class Oracle:
    """A model directory opened with `transformers`; `ask` answers greedily."""

    def __init__(self, path, dtype=torch.float32, threads=1, model=None, processor=None):
        torch.set_num_threads(threads)
        self.processor = processor or transformers.AutoProcessor.from_pretrained(path)
        self.model = (model or transformers.Qwen2VLForConditionalGeneration.from_pretrained(path, dtype=dtype)).eval()

    def inputs(self, messages, images):
        template = self.processor.chat_template or self.processor.tokenizer.chat_template
        prompt = self.processor.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=True)
        batch = self.processor(text=[prompt], images=images or None, return_tensors="pt")
        return prompt, {k: v for k, v in batch.items() if isinstance(v, torch.Tensor)}

    @torch.no_grad()
    def generate(self, inputs, limit) -> tuple[list[int], torch.Tensor]:
        given = {k: v.clone() for k, v in inputs.items()}
        out = self.model.generate(**given, max_new_tokens=limit, do_sample=False, return_dict_in_generate=True, output_logits=True)
        return out.sequences[0, inputs["input_ids"].shape[1]:].tolist(), torch.stack([row[0] for row in out.logits]).float()

    def converse(self, messages, images, limit) -> Answer:
        prompt, inputs = self.inputs(messages, images)
        return Answer(prompt, inputs, *self.generate(inputs, limit))

    def ask(self, images, question, limit=48, question_first=False) -> Answer:
        return self.converse(user(question, len(images), question_first), images, limit)

    def text(self, answer: Answer, special=False) -> str:
        return self.processor.tokenizer.decode(answer.tokens, skip_special_tokens=not special)

    @torch.no_grad()
    def states(self, inputs) -> dict[str, torch.Tensor]:
        """What is compared inside: image features, positions, logits of the whole prompt."""
        given = {k: v.clone() for k, v in inputs.items()}
        out = {"prefill_logits": self.model(**given).logits[0].float()}
        core = self.model.model
        if "pixel_values" in inputs:
            seen = core.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
            out["image_features"] = torch.cat([x.reshape(-1, x.shape[-1]) for x in seen.pooler_output]).float()
        places = {k: inputs[k] for k in ("input_ids", "image_grid_thw", "attention_mask", "mm_token_type_ids") if k in inputs}
        out["position_ids"], out["rope_deltas"] = core.get_rope_index(**places)
        return out


def user(question, pictures=0, question_first=False):
    shown, asked = [{"type": "image"}] * pictures, [{"type": "text", "text": question}]
    return [{"role": "user", "content": asked + shown if question_first else shown + asked}]


def encoded(image: Image.Image, form: str, quality=88, halved=False) -> bytes:
    """The picture as the bytes of a PNG or JPEG file; `halved` stores a JPEG's colours at half size."""
    out = io.BytesIO()
    if form == "png":
        image.save(out, "PNG", optimize=True)
    else:
        image.save(out, "JPEG", quality=quality, subsampling=2 if halved else 0, optimize=True)
    return out.getvalue()


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def write_json(path: Path, value, indent=1):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def write_reference(folder: Path, oracle: Oracle, answer: Answer, brief=False, **facts):
    """`expected.json` and `expected.safetensors`: what `vlmc parity --reference` reads; brief without pixels and most rows' logits."""
    states = oracle.states(answer.inputs)
    first = float((states["prefill_logits"][-1] - answer.logits[0]).abs().max())
    tensors = {**{f"inputs.{k}": v for k, v in answer.inputs.items()}, **states,
               "step_logits": answer.logits, "new_tokens": torch.tensor(answer.tokens)}
    if brief:
        del tensors["inputs.pixel_values"]
        tensors["prefill_logits_last64"] = tensors.pop("prefill_logits")[-64:].clone()
    file = folder / "expected.safetensors"
    save_file({k: tensors[k].contiguous() for k in sorted(tensors)}, file)
    file.chmod(0o644)
    spread = float(answer.logits.std())
    write_json(folder / "expected.json", {
        **facts, "transformers": transformers.__version__, "torch": torch.__version__, "prompt": answer.prompt,
        "input_ids": answer.inputs["input_ids"][0].tolist(), "new_tokens": answer.tokens,
        "text": oracle.text(answer), "text_raw": oracle.text(answer, special=True),
        "margins": answer.margins, "logits_std": round(spread, 4), "min_margin_over_std": round(answer.lead / spread, 4),
        "checks": {"prefill_vs_generate_step0_maxdiff": first},
        "input_shapes": {k: list(v.shape) for k, v in answer.inputs.items()},
    })
