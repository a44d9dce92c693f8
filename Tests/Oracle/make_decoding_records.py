"""What the demo model says in transformers float32 when the choice of tokens is changed: Tests/EndToEndTests/Fixtures/demo_decoding.

usage: make_decoding_records.py [--out DIR]
Every item is greedy: a question, the fields of an API request, and transformers' tokens under its own processors of the same meaning, with
the log probabilities of the model's own logits. Prompts come with the log probability and the rank of each of their tokens but the first. Two runs
give the same bytes.
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from oracle import DEMO, ROOT, Oracle, decoded, user, write_json

LIMIT, LIKELIEST, LEAD = 40, 5, 0.02


class Counted(LogitsProcessor):
    """OpenAI's penalties of presence and frequency, over the output alone."""

    def __init__(self, prompt, presence, frequency):
        self.prompt, self.presence, self.frequency = prompt, presence, frequency

    def __call__(self, ids, scores):
        counts = torch.bincount(ids[0, self.prompt:], minlength=scores.shape[-1])
        return scores - self.frequency * counts - self.presence * (counts > 0)


def processors(fields, oracle, prompt):
    """The fields as arguments of `generate`."""
    out = {}
    if "min_tokens" in fields:
        out["min_new_tokens"] = fields["min_tokens"]
    if "repetition_penalty" in fields:
        out["repetition_penalty"] = fields["repetition_penalty"]
    if "logit_bias" in fields:
        out["sequence_bias"] = [[[int(token)], float(bias)] for token, bias in fields["logit_bias"].items()]
    if "bad_words" in fields:
        encode = lambda text: oracle.processor.tokenizer.encode(text, add_special_tokens=False)
        runs = [encode(word) for word in fields["bad_words"]]
        spaced = [encode(" " + word) for word in fields["bad_words"]]
        out["bad_words_ids"] = runs + [s for s, r in zip(spaced, runs) if s[-len(r):] != r]
    if "presence_penalty" in fields or "frequency_penalty" in fields:
        counted = Counted(prompt, fields.get("presence_penalty", 0), fields.get("frequency_penalty", 0))
        out["logits_processor"] = LogitsProcessorList([counted])
    return out


@torch.no_grad()
def record(oracle, sample, fields):
    images = [decoded((DEMO / "samples" / name).read_bytes()) for name in sample["images"]]
    _, inputs = oracle.inputs(user(sample["question"], len(images), sample["question_first"]), images)
    prompt = inputs["input_ids"].shape[1]
    out = oracle.model.generate(
        **{k: v.clone() for k, v in inputs.items()}, max_new_tokens=LIMIT, do_sample=False, return_dict_in_generate=True,
        output_logits=True, output_scores=True, **processors(fields, oracle, prompt))
    tokens = out.sequences[0, prompt:].tolist()
    best = torch.stack([row[0] for row in out.scores]).topk(2, -1).values
    lead = float((best[:, 0] - best[:, 1]).min())
    if lead < LEAD:
        return None
    logprobs = torch.stack([row[0] for row in out.logits]).float().log_softmax(-1)
    likeliest = logprobs.topk(LIKELIEST, -1)
    return {
        "images": sample["images"], "question": sample["question"], "question_first": sample["question_first"], "fields": fields,
        "tokens": tokens, "text": oracle.processor.tokenizer.decode(tokens, skip_special_tokens=True), "lead": round(lead, 4),
        "logprobs": [round(float(row[token]), 5) for row, token in zip(logprobs, tokens)],
        "likeliest": [[round(float(value), 5) for value in row] for row in likeliest.values],
    }


@torch.no_grad()
def prompt(oracle, sample):
    """Each token of the prompt but the first under the model's own logits before it."""
    images = [decoded((DEMO / "samples" / name).read_bytes()) for name in sample["images"]]
    _, inputs = oracle.inputs(user(sample["question"], len(images), sample["question_first"]), images)
    ids = inputs["input_ids"][0, 1:]
    logprobs = oracle.model(**inputs).logits[0, :-1].float().log_softmax(-1)
    own = logprobs.gather(1, ids[:, None])
    return {
        "images": sample["images"], "question": sample["question"], "question_first": sample["question_first"], "tokens": ids.tolist(),
        "logprobs": [round(float(value), 5) for value in own[:, 0]], "ranks": ((logprobs > own).sum(1) + 1).tolist(),
        "near": ((logprobs - own).abs() < 1e-3).sum(1).tolist(),
        "likeliest": [[round(float(value), 5) for value in row] for row in logprobs.topk(LIKELIEST, -1).values],
    }


def plain(oracle, sample):
    images = [decoded((DEMO / "samples" / name).read_bytes()) for name in sample["images"]]
    return oracle.ask(images, sample["question"], LIMIT, sample["question_first"]).tokens


CASES = [
    {}, {"min_tokens": 30}, {"repetition_penalty": 1.4}, {"repetition_penalty": 0.8, "min_tokens": 12},
    {"presence_penalty": 2.0, "frequency_penalty": 2.0}, {"frequency_penalty": -1.0, "min_tokens": 30},
    {"logit_bias": {"309": -100.0, "410": -20.0, "416": 3.0}}, {"bad_words": ["triangle", "star", "a small"]},
    {"bad_words": ["yellow", "green"], "repetition_penalty": 1.2, "presence_penalty": 0.5, "min_tokens": 10},
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "Tests/EndToEndTests/Fixtures/demo_decoding")
    folder = parser.parse_args().out
    oracle = Oracle(DEMO / "model")
    samples = json.loads((DEMO / "samples" / "samples.json").read_text())
    items, skipped = [], 0
    for number, fields in enumerate(CASES):
        # Two samples for each case, other ones for the next, whose answers the fields change.
        found = 0
        for step in range(len(samples)):
            sample = samples[(3 * number + step) % len(samples)]
            item = record(oracle, sample, fields)
            skipped += item is None
            if item and (not fields or item["tokens"] != plain(oracle, sample)):
                items.append(item)
                found += 1
            if found == 2:
                break
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    prompts = [prompt(oracle, next(s for s in samples if len(s["images"]) == count)) for count in (1, 2)]
    write_json(folder / "expected.json", {"items": items, "prompts": prompts})
    print(f"{len(items)} items, {skipped} skipped for a lead below {LEAD}")


if __name__ == "__main__":
    main()
