"""What the demo model finds in transformers float32 by beam search: Tests/EndToEndTests/Fixtures/demo_beams.

usage: make_beam_records.py [--out DIR]
Every item is a question, the fields of an API request, and all of transformers' beams, the best first, with their log probabilities. The rules are
those that transformers and vLLM share: a beam's score is its log probability alone (`length_penalty: 0`), or all beams have one length
(`ignore_eos`). An item is taken where small noise in the log probabilities changes no token and the
two do not differ in an end: transformers looks for ends among the `best_of` likeliest candidates of a step, vLLM among twice as many, and vLLM
counts no last end in a length, ignored or not. Two runs give the same bytes.
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from oracle import DEMO, ROOT, Oracle, decoded, user, write_json

NOISE = 2e-3


class Noise(LogitsProcessor):
    """Adds a little to each log probability."""

    def __init__(self, seed):
        self.random = torch.Generator().manual_seed(seed)

    def __call__(self, ids, scores):
        return scores + NOISE * (2 * torch.rand(scores.shape, generator=self.random) - 1)


def ends(oracle, fields):
    return [] if fields.get("ignore_eos") else list(oracle.model.generation_config.eos_token_id)


def search(oracle, inputs, fields, seed):
    width = fields["best_of"]
    out = oracle.model.generate(
        **{k: v.clone() for k, v in inputs.items()}, max_new_tokens=fields["max_tokens"], do_sample=False, num_beams=width,
        num_return_sequences=width, length_penalty=float(fields["length_penalty"]), early_stopping=fields.get("early_stopping", False),
        eos_token_id=ends(oracle, fields) or None, logits_processor=LogitsProcessorList([Noise(seed)] if seed else []))
    beams = []
    for row in out[:, inputs["input_ids"].shape[1]:].tolist():
        # What follows the end is padding.
        length = next((place + 1 for place, token in enumerate(row) if token in ends(oracle, fields)), len(row))
        beams.append(row[:length])
    return beams


def rows(oracle, inputs, tokens):
    """Log probabilities behind the prompt and behind each of the tokens, computed without any search."""
    given = {k: v.clone() for k, v in inputs.items()}
    given["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([tokens], dtype=torch.long)], 1)
    given["attention_mask"] = torch.ones_like(given["input_ids"])
    if "mm_token_type_ids" in given:
        behind = torch.zeros((1, len(tokens)), dtype=given["mm_token_type_ids"].dtype)
        given["mm_token_type_ids"] = torch.cat([given["mm_token_type_ids"], behind], 1)
    return oracle.model(**given).logits[0, inputs["input_ids"].shape[1] - 1:].float().log_softmax(-1)


def counts_other_ends(oracle, inputs, fields, steps):
    """Whether an end is among twice as many candidates as there are beams, but not among as many, at some step of the search."""
    width, going = fields["best_of"], [([], 0.0)]
    for _ in range(steps):
        candidates = []
        for tokens, total in going:
            best = rows(oracle, inputs, tokens)[-1].topk(2 * width)
            candidates += [(total + float(value), tokens + [int(token)]) for value, token in zip(*best)]
        candidates.sort(key=lambda pair: -pair[0])
        candidates = candidates[:2 * width]
        if any(tokens[-1] in ends(oracle, fields) for _, tokens in candidates[width:]):
            return True
        going = [(tokens, total) for total, tokens in candidates if tokens[-1] not in ends(oracle, fields)][:width]
    return False


@torch.no_grad()
def record(oracle, sample, fields):
    images = [decoded((DEMO / "samples" / name).read_bytes()) for name in sample["images"]]
    _, inputs = oracle.inputs(user(sample["question"], len(images), sample["question_first"]), images)
    beams = search(oracle, inputs, fields, 0)
    if any(search(oracle, inputs, fields, seed) != beams for seed in (1, 2)):
        return None
    own = oracle.model.generation_config.eos_token_id
    if fields["length_penalty"] and any(token in own for beam in beams for token in beam):
        return None
    if counts_other_ends(oracle, inputs, fields, max(len(beam) for beam in beams)):
        return None
    sums = [sum(float(row[token]) for row, token in zip(rows(oracle, inputs, beam), beam)) for beam in beams]
    return {
        "images": sample["images"], "question": sample["question"], "question_first": sample["question_first"], "fields": fields,
        "tokens": beams, "texts": [oracle.processor.tokenizer.decode(beam, skip_special_tokens=True) for beam in beams],
        "logprobs": [round(value, 4) for value in sums],
    }


CASES = [
    {"best_of": 2, "length_penalty": 0, "max_tokens": 30}, {"best_of": 3, "length_penalty": 0, "max_tokens": 40, "early_stopping": True},
    {"best_of": 4, "length_penalty": 0, "max_tokens": 40, "early_stopping": "never"},
    {"best_of": 4, "length_penalty": 1, "max_tokens": 12, "ignore_eos": True}, {"best_of": 8, "length_penalty": 0, "max_tokens": 20, "ignore_eos": True},
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "Tests/EndToEndTests/Fixtures/demo_beams")
    folder = parser.parse_args().out
    oracle = Oracle(DEMO / "model")
    samples = json.loads((DEMO / "samples" / "samples.json").read_text())
    items, skipped = [], 0
    for number, fields in enumerate(CASES):
        # Three samples for each case, other ones for the next.
        found = 0
        for step in range(len(samples)):
            item = record(oracle, samples[(4 * number + step) % len(samples)], fields)
            skipped += item is None
            found += item is not None
            if item:
                items.append(item)
            if found == 3:
                break
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "expected.json", {"items": items})
    print(f"{len(items)} items, {skipped} skipped")


if __name__ == "__main__":
    main()
