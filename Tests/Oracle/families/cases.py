"""Conversations other than one picture and a question, and what the processor makes of pictures of many sizes: `cases.*`."""
from __future__ import annotations

from pathlib import Path

import torch

from oracle import Answer

from .files import digest, write_facts, write_tensors
from .native import assistant, user
from .pictures import FOLDER, SECOND, SIZES, stored

CASE_STEPS = 6
SHORT = "Which?"
# What tokenizers differ in: spaces, digits, contractions, cases, scripts, marks apart from their letters, special tokens in a text.
TEXTS = ["", " ", "the image is 12345 shapes", "  two  spaces\n\n\nthree lines\t tab ", "I'll don't WE'RE he's", "naïve café — déjà vu",
         "你好，世界！", "Привет мир", "a\u0301 e\u0301 \u1e9b\u0323", "👍🏽 thumbs", "x=1;y=[2,3]; // {\"a\": null}",
         "<|im_end|> <image> </s> <s>[INST] <bos>", "\u00a0thin\u3000wide\u200bnone", "CamelCaseWORDS snake_case/path", "١٢٣ ①② ½ 10000000",
         "trailing space ", "\r\n\r\n windows\r\n"]


def lead(answer: Answer) -> float:
    """How far the least clear choice leads, in deviations of the logits."""
    return answer.lead / float(answer.logits.std())


def conversations(subject, image, second) -> dict[str, list[dict]]:
    """The cases that the family's processor can do; a case that it refuses is not recorded."""
    wanted = {
        "text_only": [user("Hello, naïve 42!")],
        "two_images": [user(image, second, "Both?")],
        "multi_turn": [user(image, "One?"), assistant("A café, 7."), user("And now?")],
        "text_first": [user("Look at this: ", image)],
        "two_turns_with_images": [user(image, "One?"), assistant("Yes."), user(second, "Two?")],
    }
    if not subject.sees:
        wanted = {"text_only": wanted["text_only"], "multi_turn": [user("One?"), assistant("A café, 7."), user("And now?")]}
    elif getattr(subject, "bare", False):  # all turns are one text there
        wanted = {"two_images": wanted["two_images"]}
    return {name: messages for name, messages in wanted.items() if accepted(subject, messages)}


def accepted(subject, messages: list[dict]) -> bool:
    try:
        subject.inputs(messages)
        return True
    except Exception:  # processors refuse in many ways
        return False


def described(tensor: torch.Tensor) -> dict:
    known = {"shape": list(tensor.shape), "sha256": digest(tensor)}
    if tensor.numel() <= 16:
        return {**known, "values": tensor.flatten().tolist()}
    return {**known, "first": tensor.flatten()[:6].tolist(), "mean": float(tensor.double().mean())}


def of_a_size(subject, out: Path, size: tuple[int, int]) -> tuple[dict, dict]:
    """What the processor makes of a picture of that size, and the prompt around it; an error where it refuses."""
    try:
        inputs = subject.inputs([user(stored(out, size), SHORT)])
    except Exception as error:
        refused = {"error": f"{type(error).__name__}: {str(error)[:120]}"}
        return refused, refused
    row = inputs["input_ids"][0]
    text = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
    return ({k: described(v) for k, v in inputs.items() if k not in text},
            {"placeholders": len(subject.slots(inputs)), "input_ids": row.tolist()})


def write_cases(folder: Path, out: Path, subject, cases: dict[str, list[dict]]) -> float | None:
    """`cases.json` and `cases.safetensors`; returns the least lead over the logits' deviation."""
    facts, tensors, leads = {}, {}, []
    for name, messages in cases.items():
        answer = subject.ask(messages, CASE_STEPS)
        leads.append(lead(answer))
        facts[name] = {
            "prompt": answer.prompt, "input_ids": answer.inputs["input_ids"][0].tolist(), "new_tokens": answer.tokens,
            "margins": answer.margins, "min_margin_over_std": round(leads[-1], 4),
            "input_shapes": {k: list(v.shape) for k, v in answer.inputs.items()},
            "sha256": {k: digest(v) for k, v in answer.inputs.items() if k.startswith("pixel")}}
        tensors[f"{name}.step_logits"] = answer.logits
        small = {k: v for k, v in answer.inputs.items() if not k.startswith("pixel") and k not in ("input_ids", "attention_mask")}
        tensors |= {f"{name}.inputs.{k}": v for k, v in small.items()}
    sizes = {f"{w}x{h}": of_a_size(subject, out, (w, h)) for w, h in SIZES} if subject.sees else {}
    write_facts(folder / "cases.json", {
        "images_dir": f"../{FOLDER}", "second_image": f"{SECOND[0]}x{SECOND[1]}.png", "size_prompt": SHORT,
        "note": "sha256 over little-endian contiguous bytes (float32 or int64)", "cases": facts,
        "texts": [{"text": text, "input_ids": subject.encoded(text)} for text in TEXTS],
        "preprocess": {k: v[0] for k, v in sizes.items()}, "prompts": {k: v[1] for k, v in sizes.items()}})
    if tensors:
        write_tensors(folder / "cases.safetensors", tensors)
    return min(leads, default=None)
