"""Ask a running OpenAI-compatible server every recorded question, many at a time, and compare with what transformers said.

usage: compare_server.py RECORDS.json [--url http://127.0.0.1:8000] [--clients 8] [--mean-wait 0.05] [--dtype float32]
RECORDS.json is demo200/expected.json or the scenes.json of accuracy500.py. Needs Python only.

The question stands before or after the pictures as recorded. Arrivals are mixed: shuffled order, random pauses, every second
request streamed. A difference at a step that led by less than --near-tie in the record is counted apart: float noise may turn it.
The exit status is 1 when any other answer differs or fails.
"""
import argparse
import base64
import json
import random
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Item:
    number: int
    images: list[Path]
    question: str
    question_first: bool
    truth: str
    text: str
    tokens: list[int]
    leads: list[float]  # one per token, or only the least


@dataclass
class Reply:
    item: Item
    text: str = ""
    tokens: list[int] = field(default_factory=list)
    error: str = ""
    first: float = 0.0
    seconds: float = 0.0


def load(path, dtype):
    record = json.loads(path.read_text())
    items = []
    for number, item in enumerate(record["items"]):
        said = item["answers"][dtype] if "answers" in item else item
        leads = said.get("margins") or [said["least_lead"]]
        items.append(Item(number, [path.parent / i for i in item["images"]], item["question"],
                          item.get("question_first", False), item["truth"], said["text"], said["new_tokens"], leads))
    return items, record["max_new_tokens"]


def picture_part(path):
    kind = "jpeg" if path.suffix == ".jpg" else "png"
    data = base64.b64encode(path.read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}


def body(item, given, limit, stream):
    pictures, text = [picture_part(p) for p in item.images], [{"type": "text", "text": item.question}]
    content = text + pictures if item.question_first else pictures + text
    asked = {"model": given.model, "messages": [{"role": "user", "content": content}], "max_tokens": limit, "temperature": 0,
             "stream": stream}
    if given.tokens:
        asked["return_token_ids"] = True
    return json.dumps(asked).encode()


def read_stream(response, reply, start):
    for line in response:
        if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
            continue
        for choice in json.loads(line[6:]).get("choices", []):
            piece = choice.get("delta", {}).get("content") or ""
            reply.first = reply.first or (time.monotonic() - start if piece else 0)
            reply.text += piece
            reply.tokens += choice.get("token_ids") or []


def ask(item, given, limit):
    reply, start = Reply(item), time.monotonic()
    stream = item.number % 2 == 1
    request = urllib.request.Request(given.url + "/v1/chat/completions", body(item, given, limit, stream),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=given.timeout) as response:
            if stream:
                read_stream(response, reply, start)
            else:
                choice = json.load(response)["choices"][0]
                reply.text, reply.tokens = choice["message"]["content"] or "", choice.get("token_ids") or []
    except urllib.error.HTTPError as error:
        reply.error = f"{error.code} {error.read(300).decode(errors='replace')}"
    except (OSError, KeyError, IndexError, ValueError) as error:
        reply.error = repr(error)
    reply.seconds = time.monotonic() - start
    return reply


def verdict(reply, near_tie):
    """`same`, `near tie`, `differs` or `failed`."""
    item = reply.item
    if reply.error:
        return "failed"
    if not reply.tokens:
        return "same" if reply.text == item.text else "near tie" if min(item.leads) < near_tie else "differs"
    if reply.tokens == item.tokens:
        return "same"
    step = next((i for i, (a, b) in enumerate(zip(reply.tokens, item.tokens)) if a != b), None)
    lead = item.leads[step] if step is not None and step < len(item.leads) else min(item.leads)
    return "near tie" if lead < near_tie else "differs"


def served_model(url):
    with urllib.request.urlopen(url + "/v1/models", timeout=30) as response:
        return json.load(response)["data"][0]["id"]


def run(given):
    items, limit = load(given.records, given.dtype)
    items = items[:given.limit]
    dice = random.Random(given.seed)
    dice.shuffle(items)
    waits = [dice.expovariate(1 / given.mean_wait) if given.mean_wait else 0.0 for _ in items]

    def one(item, wait):
        time.sleep(wait)
        return ask(item, given, limit)
    start = time.monotonic()
    with ThreadPoolExecutor(given.clients) as pool:
        replies = list(pool.map(one, items, waits))
    return replies, time.monotonic() - start


def print_accuracy(name, replies, given):
    count = len(replies)
    if count == 0:
        return
    right = sum(r.text.strip() == r.item.truth for r in replies)
    before = sum(r.item.text.strip() == r.item.truth for r in replies)
    print(f"exactly right, {name}: {right / count:.1%}; transformers {given.dtype}: {before / count:.1%}")


def report(replies, seconds, given):
    found = {"same": [], "near tie": [], "differs": [], "failed": []}
    for reply in sorted(replies, key=lambda r: r.item.number):
        found[verdict(reply, given.near_tie)].append(reply)
    for kind in ("failed", "differs", "near tie"):
        for reply in found[kind][:given.show]:
            print(f"{kind} #{reply.item.number} {reply.item.question!r}\n  said     {reply.error or reply.text!r}\n  recorded {reply.item.text!r}")
    count = len(replies)
    firsts = sorted(r.first for r in replies if r.first)
    print(f"{count} answers by {given.clients} clients in {seconds:.1f} s: " + ", ".join(f"{len(v)} {k}" for k, v in found.items()))
    print_accuracy("all", replies, given)
    print_accuracy("question first", [r for r in replies if r.item.question_first], given)
    if firsts:
        print(f"first token of streamed answers: median {firsts[len(firsts) // 2] * 1000:.0f} ms, worst {firsts[-1] * 1000:.0f} ms")
    return not found["differs"] and not found["failed"]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("records", type=Path)
    args.add_argument("--url", default="http://127.0.0.1:8000")
    args.add_argument("--model", help="default: the first of /v1/models")
    args.add_argument("--clients", type=int, default=8)
    args.add_argument("--mean-wait", type=float, default=0.05, help="mean pause of a client before a request, seconds")
    args.add_argument("--dtype", default="float32", help="which recorded answers, for scenes.json")
    args.add_argument("--near-tie", type=float, default=0.05)
    args.add_argument("--tokens", action="store_true", help="ask for token ids and compare those")
    args.add_argument("--limit", type=int, help="only the first N items")
    args.add_argument("--show", type=int, default=5, help="how many differing answers to print per kind")
    args.add_argument("--timeout", type=float, default=120)
    args.add_argument("--seed", type=int, default=1)
    given = args.parse_args()
    try:
        given.model = given.model or served_model(given.url)
    except (OSError, ValueError, LookupError) as error:
        sys.exit(f"compare_server: {given.url} does not name a model: {error}")
    replies, seconds = run(given)
    sys.exit(0 if report(replies, seconds, given) else 1)


if __name__ == "__main__":
    main()
