"""Pictures with questions that the demo model answers rightly: Artifacts/Demo/samples.

usage: make_samples.py [--out DIR]
Draws scenes until every wish below is met by one that transformers (float32, greedy) answers exactly and with a clear lead, whether
the question stands before the pictures or after them.
"""
import argparse
import random
from pathlib import Path

from oracle import DEMO, Oracle, decoded, encoded, write_json
from scenes import sample

# name, kind of scene, picture size, file form, how the question starts, least length of the answer, whether it stands first
WISHES = [
    ("shapes-three", "shapes", (168, 168), "png", "Describe", 90, False),
    ("shapes-two", "shapes", (336, 336), "jpg", "What do you see", 70, True),
    ("shapes-count", "shapes", (168, 112), "png", "How many shapes", 1, False),
    ("shapes-color", "shapes", (140, 140), "jpg", "What color is the", 1, True),
    ("shapes-where", "shapes", (168, 168), "png", "Where is", 1, True),
    ("shapes-json", "shapes", (280, 224), "png", "List the shapes as JSON", 60, False),
    ("text-word", "text", (168, 112), "png", "Read the text", 5, False),
    ("text-number", "text", (320, 240), "jpg", "What does the sign say", 3, True),
    ("text-described", "text", (168, 112), "jpg", "Describe", 20, False),
    ("chart-tallest", "chart", (168, 168), "png", "Which bar is the tallest", 1, True),
    ("chart-described", "chart", (336, 252), "jpg", "What is in this picture", 20, False),
    ("pair-which", "pair", (112, 112), "png", "Which image shows", 1, True),
    ("pair-compared", "pair", (112, 112), "jpg", "Compare the two", 20, False),
]
LEAD = 1.0


def found(oracle, rng, kind, size, form, question, length, seen):
    while True:
        images, asked, answer = sample(rng, kind, size)
        if not asked.startswith(question) or len(answer) < length or answer in seen:
            continue
        if kind == "text" and question.startswith("What") and not answer.isdigit():
            continue
        files = [encoded(i, form) for i in images]
        pictures = [decoded(f) for f in files]
        if all(is_clear(oracle, pictures, asked, answer, first) for first in (False, True)):
            return files, asked, answer


def is_clear(oracle, pictures, asked, answer, question_first):
    said = oracle.ask(pictures, asked, 96, question_first)
    return oracle.text(said) == answer and said.lead >= LEAD


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, default=DEMO / "samples")
    out = args.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    oracle, entries, seen = Oracle(DEMO / "model"), [], set()
    for number, (name, kind, size, form, question, length, first) in enumerate(WISHES):
        files, asked, answer = found(oracle, random.Random(4100 + number), kind, size, form, question, length, seen)
        seen.add(answer)
        names = [f"{name}.{form}"] if len(files) == 1 else [f"{name}-{i + 1}.{form}" for i in range(len(files))]
        for file, data in zip(names, files):
            (out / file).write_bytes(data)
        entries.append({"images": names, "question": asked, "question_first": first, "answer": answer})
        print(name, asked, "→", answer, flush=True)
    for question in ("Hello!", "What can you do?"):
        answer = oracle.text(oracle.ask([], question))
        entries.append({"images": [], "question": question, "question_first": False, "answer": answer})
        print(question, "→", answer)
    write_json(out / "samples.json", entries)


if __name__ == "__main__":
    main()
