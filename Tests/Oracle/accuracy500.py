"""500 new scenes with true answers, and what transformers makes of them: something to measure a served model against.

usage: accuracy500.py OUT_DIR [--model DIR] [--scenes 500] [--seed 500]
Writes OUT_DIR/images and OUT_DIR/scenes.json: per item question, order, truth, and per dtype (float32, bfloat16) text, tokens and
leads. Half of the items have the question before the pictures.
"""
import argparse
import random
from pathlib import Path

import torch

from awq import write_dequantized
from make_demo_records import KINDS, exact, question_first, small_file
from oracle import DEMO, Oracle, decoded, write_json
from scenes import sample, size_of

LIMIT = 120
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def draw(out, count, seed):
    (out / "images").mkdir(parents=True, exist_ok=True)
    items = []
    for number in range(count):
        dice = random.Random(seed * 1_000_003 + number)
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        images, question, truth = sample(dice, kind, size_of(dice))
        names = []
        for index, image in enumerate(images):
            form, data = small_file(image, dice)
            names.append(f"images/{number:04d}-{index}.{form}")
            (out / names[-1]).write_bytes(data)
        items.append({"images": names, "kind": kind, "question": question,
                      "question_first": question_first(number, names), "truth": truth, "answers": {}})
    return items


def opened(model, dtype, out):
    """int4 directories are read back to plain weights first."""
    if '"quantization_config"' not in (model / "config.json").read_text():
        return Oracle(model, dtype)
    write_dequantized(model, out / "dequantized")
    return Oracle(out / "dequantized", dtype)


def answer(items, out, model, name):
    oracle = opened(model, DTYPES[name], out)
    for item in items:
        images = [decoded((out / n).read_bytes()) for n in item["images"]]
        said = oracle.ask(images, item["question"], LIMIT, item["question_first"])
        item["answers"][name] = {"text": oracle.text(said), "new_tokens": said.tokens, "least_lead": said.lead}
    return sum(i["answers"][name]["text"].strip() == i["truth"] for i in items) / len(items)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("out", type=Path)
    args.add_argument("--model", type=Path, default=DEMO / "model")
    args.add_argument("--scenes", type=int, default=500)
    args.add_argument("--seed", type=int, default=500)
    args.add_argument("--dtypes", default="float32,bfloat16")
    given = args.parse_args()
    items, accuracy = draw(given.out, given.scenes, given.seed), {}
    for name in given.dtypes.split(","):
        accuracy[name] = answer(items, given.out, given.model, name)
        print(f"{name}: {accuracy[name]:.1%} exact, {exact(items, lambda i: i['answers'][name]['text'])}", flush=True)
    write_json(given.out / "scenes.json", {"model": given.model.name, "max_new_tokens": LIMIT, "accuracy": accuracy, "items": items})


if __name__ == "__main__":
    main()
