"""Measures how much new pictures slow streams that run beside them: the time between two tokens, with pictures and without, in turns.

    python pictures.py BIN [--model ARTIFACT-OR-DIRECTORY] [--streams 4] [--clients 2] [--seconds 6] [--rounds 8] [--size 1000x800]

Each client asks about one picture after another, none of which is in a cache. Exit code 1 where the 99th percentile with pictures, in the median of the
rounds, is twice that without or more.
"""

import argparse
import atexit
import base64
import http.client
import json
import multiprocessing
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def picture(width: int, height: int) -> str:
    """A PNG file of bars and noise, as a URL."""
    chance = random.Random(1)
    rows = b"".join(b"\0" + bytes((x * 255 // width + y // 40 * 37 + chance.randrange(16)) % 256 for x in range(width) for _ in range(3)) for y in range(height))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    file = b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return "data:image/png;base64," + base64.b64encode(file).decode()


def post(port: int, path: str, body: bytes) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"{path} answered {response.status}: {response.read()[:300]!r}")
    return response


def ask(port: int, model: str, url: str, wanted, answered, name: int) -> None:
    """A client of its own process: it asks while it is wanted."""
    messages = [dict(role="user", content=[dict(type="image_url", image_url=dict(url=url)), dict(type="text", text="What is this?")])]
    body = json.dumps(dict(model=model, messages=messages, max_tokens=1))[:-1]
    number = 0
    while True:
        wanted.wait()
        post(port, "/v1/chat/completions", f'{body}, "cache_salt": "{name} {number}"}}'.encode()).read()
        number += 1
        with answered.get_lock():
            answered.value += 1


class Streams:
    """Texts that are told token by token, one after another."""

    def __init__(self, port: int, model: str, count: int):
        self.gaps: list[tuple[float, float]] = []
        body = json.dumps(dict(model=model, prompt="A", max_tokens=200, ignore_eos=True, temperature=1, stream=True)).encode()
        for _ in range(count):
            threading.Thread(target=self.run, args=(port, body), daemon=True).start()

    def run(self, port: int, body: bytes) -> None:
        while True:
            last = None
            for line in post(port, "/v1/completions", body):
                if line.startswith(b"data: {"):
                    now = time.monotonic()
                    if last:
                        self.gaps.append((now, now - last))
                    last = now

    def between(self, begin: float, end: float) -> list[float]:
        return sorted(gap for at, gap in list(self.gaps) if begin < at < end)


def serve(options: argparse.Namespace) -> int:
    """Starts the server; its port."""
    scratch = tempfile.mkdtemp()
    log = open(scratch + "/log", "w+")
    server = subprocess.Popen(
        [options.bin / "vlm-serve", options.model, "--port", "0", "--disable-log-requests", "--store", options.store or scratch + "/store"], stderr=log)
    atexit.register(server.kill)
    while not (found := re.search(r"listening on http://[^:]*:(\d+)", Path(log.name).read_text())):
        if server.poll() is not None:
            raise SystemExit(Path(log.name).read_text())
        time.sleep(0.05)
    return int(found[1])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bin", type=Path)
    parser.add_argument("--model", default=ROOT / "Artifacts" / "Demo" / "model")
    parser.add_argument("--store")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--size", default="1000x800")
    options = parser.parse_args()
    port = serve(options)
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1/models")
        response = connection.getresponse()
        if response.status == 200:
            break
        time.sleep(0.1)
    model = json.loads(response.read())["data"][0]["id"]
    wanted, answered = multiprocessing.Event(), multiprocessing.Value("i", 0)
    url = picture(*map(int, options.size.split("x")))
    clients = [multiprocessing.Process(target=ask, args=(port, model, url, wanted, answered, i), daemon=True) for i in range(options.clients)]
    for client in clients:
        client.start()
    streams = Streams(port, model, options.streams)
    time.sleep(2)
    ratios = []
    for number in range(options.rounds):
        found = []
        for on in (False, True):
            (wanted.set if on else wanted.clear)()
            time.sleep(options.seconds / 4)
            begin, before = time.monotonic(), answered.value
            time.sleep(options.seconds)
            gaps = streams.between(begin, time.monotonic())
            found.append((gaps[len(gaps) // 2], gaps[int(len(gaps) * 0.99)], len(gaps), answered.value - before))
        (median, worst, count, _), (median2, worst2, count2, pictures) = found
        ratios.append(worst2 / worst)
        print(f"round {number + 1}: median {1000 * median:.1f} ms, 99 % {1000 * worst:.1f} ms of {count}; with {pictures} pictures "
              f"{1000 * median2:.1f} ms, {1000 * worst2:.1f} ms of {count2}: {ratios[-1]:.2f} times", flush=True)
        wanted.clear()
        time.sleep(options.seconds / 4)
    ratio = statistics.median(ratios)
    print(f"99 % with pictures beside without, median of {len(ratios)} rounds: {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return 0 if ratio < 2 else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    for child in multiprocessing.active_children():
        child.kill()
    sys.exit(code)
