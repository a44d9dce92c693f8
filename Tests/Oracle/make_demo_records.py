"""What the demo model says in transformers float32: Tests/EndToEndTests/Fixtures/demo200 and demo_reference.

usage: make_demo_records.py [--out DIR]
demo200: 200 pictures with questions, the true answers, and the greedy tokens with their leads before the next best token; half of
the items have the question before the pictures.
demo_reference: features and logits of prompts (a picture, two pictures, text only, a long one) in the form of the tiny fixtures.
Two runs give the same bytes, with the same fonts.
"""
import argparse
import json
import random
import shutil
from pathlib import Path

from oracle import DEMO, ROOT, Oracle, decoded, encoded, write_reference
from scenes import sample, size_of

COUNT, LIMIT, SEED = 200, 48, 20_200
KINDS = {"shapes": 9, "text": 6, "chart": 2, "pair": 2, "chat": 1}
LARGER = [(224, 168), (300, 200), (96, 72), (256, 256)]
NEAR_TIE = 0.05


def small_file(image, dice):
    """PNG where that is small, JPEG (full or halved colours) else."""
    png = encoded(image, "png")
    if len(png) <= 4500 and dice.random() < 0.7:
        return "png", png
    return "jpg", encoded(image, "jpg", quality=dice.choice([75, 85, 92]), halved=dice.random() < 0.5)


def scene(number):
    """Picture files, question and true answer of one item; the number alone decides."""
    dice = random.Random(SEED + number)
    kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
    size = dice.choice(LARGER) if dice.random() < 0.2 else size_of(dice)
    images, question, answer = sample(dice, kind, size)
    return kind, [small_file(image, dice) for image in images], question, answer


def question_first(number, images):
    """Which order an item is asked in: two numbers this way, two the other, so that it goes with no other alternation."""
    return bool(images) and number // 2 % 2 == 1


def exact(items, text):
    """How many answers are exactly right: of all items, and of those with the question first; both as "right of count"."""
    def share(some):
        return f"{sum(text(i).strip() == i['truth'] for i in some)} of {len(some)}"
    return f"{share(items)} right, question first {share([i for i in items if i['question_first']])}"


def record(oracle, folder):
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    items = []
    for number in range(COUNT):
        kind, files, question, truth = scene(number)
        names = [f"{number:03d}{'ab'[i] if len(files) > 1 else ''}.{form}" for i, (form, _) in enumerate(files)]
        for name, (_, data) in zip(names, files):
            (folder / "images" / name).write_bytes(data)
        first = question_first(number, files)
        said = oracle.ask([decoded(data) for _, data in files], question, LIMIT, first)
        items.append({"images": [f"images/{n}" for n in names], "kind": kind, "question": question, "question_first": first,
                      "truth": truth,
                      "text": oracle.text(said), "prompt_tokens": said.inputs["input_ids"].shape[1],
                      "new_tokens": said.tokens, "margins": said.margins})
    right = sum(i["text"].strip() == i["truth"] for i in items)
    ties = sum(min(i["margins"]) < NEAR_TIE for i in items)
    head = {"model": "Artifacts/Demo/model", "max_new_tokens": LIMIT, "right": right, "near_tie": NEAR_TIE, "near_ties": ties}
    lines = ",\n".join("  " + json.dumps(i, ensure_ascii=False) for i in items)
    (folder / "expected.json").write_text(json.dumps(head)[:-1] + ', "items": [\n' + lines + "\n]}\n", encoding="utf-8")
    print(f"demo200: {exact(items, lambda i: i['text'])}, {ties} with a step that leads by less than {NEAR_TIE}")


def reference(oracle, folder):
    samples = [("one_picture", "shapes", (112, 112), "Describe"), ("two_pictures", "pair", (112, 112), "Compare"),
               ("text_only", "chat", (0, 0), "Who are you?")]
    for name, kind, size, start in samples:
        dice, question = random.Random(SEED), ""
        while not question.startswith(start):
            images, question, _ = sample(dice, kind, size)
        target = folder / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        files = ["image.png", "image2.png"][:len(images)]
        for file, image in zip(files, images):
            (target / file).write_bytes(encoded(image, "png"))
        answer = oracle.ask([decoded((target / f).read_bytes()) for f in files], question, LIMIT)
        write_reference(target, oracle, answer, family="demo", images=files, question=question)
        print(f"demo_reference/{name}: {oracle.text(answer)!r}, least lead {answer.lead}")
    long_reference(oracle, folder / "long_prompt")


def long_reference(oracle, target):
    """More than 256 patches and 256 tokens of text: enough rows for the kernels of long prompts."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    dice, files = random.Random(SEED), ["image.png", "image2.png"]
    for file in files:
        (target / file).write_bytes(encoded(sample(dice, "shapes", (224, 224))[0][0], "png"))
    images = [decoded((target / file).read_bytes()) for file in files]
    for times in range(60, 90):
        question = " ".join(sample(dice, "chat", (0, 0))[1] for _ in range(times)) + " Describe the images."
        answer = oracle.ask(images, question, LIMIT)
        if answer.lead > NEAR_TIE:
            break
    write_reference(target, oracle, answer, brief=True, family="demo", images=files, question=question)
    rows = {k: list(v.shape) for k, v in answer.inputs.items()}
    print(f"demo_reference/long_prompt: {oracle.text(answer)!r}, least lead {answer.lead}, {rows}")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--out", type=Path, default=ROOT / "Tests" / "EndToEndTests" / "Fixtures")
    out, oracle = args.parse_args().out, Oracle(DEMO / "model")
    record(oracle, out / "demo200")
    reference(oracle, out / "demo_reference")


if __name__ == "__main__":
    main()
