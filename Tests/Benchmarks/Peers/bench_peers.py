"""Measures servers with OpenAI's API in turns: prompts, streams side by side, and a picture.

    python bench_peers.py ROUNDS NAME=PORT...       prints a table in Markdown; ratios are of the first server to each other, round by round

Prompts are random, so that no cache helps, and greedy. The rate of several streams is taken while all of them decode: from the last first
token to the first end. A stream's texts may hold several tokens or none, so each counts as its share of the tokens that the server reports.
"""

import base64
import http.client
import json
import random
import statistics
import struct
import sys
import threading
import time
import zlib

LONG, SHORT = 500, 120  # letters of a prompt, most of them a token each


class Server:
    def __init__(self, name: str, port: int):
        self.name, self.port = name, port
        with connection(port) as asked:
            asked.request("GET", "/v1/models")
            self.model = json.loads(asked.getresponse().read())["data"][0]["id"]


class connection(http.client.HTTPConnection):
    def __init__(self, port: int):
        super().__init__("127.0.0.1", port, timeout=900)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Stream:
    """One answer: when it was asked for, when texts came, and how many tokens went in and out."""

    def __init__(self, server: Server, content, tokens: int):
        body = dict(model=server.model, messages=[dict(role="user", content=content)], max_tokens=tokens, temperature=0, ignore_eos=True,
                    stream=True, stream_options=dict(include_usage=True))
        if server.name != "vlm-serve":
            body["cache_prompt"] = False
        with connection(server.port) as asked:
            self.begin, self.times, usage = time.monotonic(), [], None
            asked.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            response = asked.getresponse()
            if response.status != 200:
                raise SystemExit(f"{server.name}: {response.status} {response.read().decode()}")
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                usage = event.get("usage") or usage
                if event.get("choices") and event["choices"][0]["delta"].get("content"):
                    self.times.append(time.monotonic())
        if not usage or len(self.times) < 2 and tokens > 1:
            raise SystemExit(f"{server.name}: an answer of {tokens} tokens came in {len(self.times)} texts")
        self.prompt, self.tokens = usage["prompt_tokens"], usage["completion_tokens"]

    @property
    def wait(self) -> float:
        return (self.times[0] if self.times else time.monotonic()) - self.begin


def letters(count: int) -> str:
    return " ".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(count))


def prefill(server: Server) -> float:
    stream = Stream(server, letters(LONG), 2)
    return stream.prompt / stream.wait


def decode(count: int):
    def measure(server: Server) -> float:
        streams: list[Stream] = []
        length, tokens = (LONG, 40) if count == 1 else (SHORT, 40 + 10 * count)
        threads = [threading.Thread(target=lambda: streams.append(Stream(server, letters(length), tokens))) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(streams) < count:
            raise SystemExit(f"{server.name}: {count - len(streams)} of {count} streams failed")
        first, end = max(s.times[0] for s in streams), min(s.times[-1] for s in streams)
        if end - first < 0.2:
            raise SystemExit(f"{server.name}: {count} streams hardly decoded side by side")
        made = sum(sum(first < t <= end for t in s.times) * (s.tokens - 1) / (len(s.times) - 1) for s in streams)
        return made / (end - first)

    return measure


def picture(side: int):
    def measure(server: Server) -> float:
        rows = b"".join(b"\0" + random.randbytes(3 * side) for _ in range(side))

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + \
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
        url = "data:image/png;base64," + base64.b64encode(png).decode()
        return Stream(server, [dict(type="image_url", image_url=dict(url=url)), dict(type="text", text=letters(8))], 2).wait

    return measure


MEASURES = [
    ("prompt of about 500 tokens, tokens/s", prefill, True),
    ("decode 1 stream after about 500, tokens/s", decode(1), True),
    ("decode 4 streams, tokens/s", decode(4), True),
    ("decode 8 streams, tokens/s", decode(8), True),
    ("decode 16 streams, tokens/s", decode(16), True),
    ("picture 448², s to the first token", picture(448), False),
    ("picture 896², s to the first token", picture(896), False),
]


def shown(values: list[float]) -> str:
    places = 2 if statistics.median(values) < 10 else 1 if statistics.median(values) < 100 else 0
    return f"{statistics.median(values):.{places}f} [{min(values):.{places}f} … {max(values):.{places}f}]"


def main() -> None:
    rounds = int(sys.argv[1])
    servers = [Server(name, int(port)) for name, port in (word.split("=") for word in sys.argv[2:])]
    for server in servers:
        Stream(server, letters(SHORT), 4)
    figures = {(name, server.name): [] for name, _, _ in MEASURES for server in servers}
    for turn in range(rounds):
        for name, measure, _ in MEASURES:
            for server in servers if turn % 2 == 0 else servers[::-1]:
                figures[name, server.name].append(measure(server))
                print(f"{turn + 1}/{rounds} {name}: {server.name} {figures[name, server.name][-1]:.3g}", file=sys.stderr)
    ours, peers = servers[0], servers[1:]
    print("| |", " | ".join(s.name for s in servers), "|", " | ".join(f"× {p.name}" for p in peers), "|")
    print("|---|" + "---|" * (len(servers) + len(peers)))
    for name, _, more_is_better in MEASURES:
        mine = figures[name, ours.name]
        ratios = [[a / b if more_is_better else b / a for a, b in zip(mine, figures[name, p.name])] for p in peers]
        print(f"| {name} |", " | ".join(shown(figures[name, s.name]) for s in servers), "|", " | ".join(shown(r) for r in ratios), "|")


if __name__ == "__main__":
    main()
