"""What the demo model's last hidden state is in transformers float32: Tests/EndToEndTests/Fixtures/demo_embeddings.

usage: make_embedding_records.py [--out DIR]
The hidden state of the last token behind the last norm, `hidden_states[-1]`, divided by its length, of texts as they are and of chats with
images that end without a prompt for an answer. Two runs give the same bytes.
"""
import argparse
import json
import shutil
from pathlib import Path

import torch

from oracle import DEMO, ROOT, Oracle, decoded, user, write_json

TEXTS = ["A large red circle", "A small blue star", "x", "What do you see? " * 12]


@torch.no_grad()
def embedding(oracle, inputs):
    out = oracle.model(**inputs, output_hidden_states=True).hidden_states[-1][0, -1].float()
    return [round(float(value), 7) for value in out / out.norm()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "Tests/EndToEndTests/Fixtures/demo_embeddings")
    folder = parser.parse_args().out
    oracle = Oracle(DEMO / "model")
    texts = []
    for text in TEXTS:
        inputs = oracle.processor.tokenizer(text, return_tensors="pt")
        texts.append({"text": text, "tokens": inputs["input_ids"][0].tolist(), "embedding": embedding(oracle, dict(inputs))})
    chats = []
    samples = json.loads((DEMO / "samples" / "samples.json").read_text())
    for count in (1, 2):
        sample = next(s for s in samples if len(s["images"]) == count)
        images = [decoded((DEMO / "samples" / name).read_bytes()) for name in sample["images"]]
        messages = user(sample["question"], count, sample["question_first"])
        template = oracle.processor.chat_template or oracle.processor.tokenizer.chat_template
        prompt = oracle.processor.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=False)
        batch = oracle.processor(text=[prompt], images=images, return_tensors="pt")
        chats.append({
            "images": sample["images"], "question": sample["question"], "question_first": sample["question_first"],
            "embedding": embedding(oracle, {k: v for k, v in batch.items() if isinstance(v, torch.Tensor)}),
        })
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "expected.json", {"texts": texts, "chats": chats})
    print(f"{len(texts)} texts, {len(chats)} chats")


if __name__ == "__main__":
    main()
