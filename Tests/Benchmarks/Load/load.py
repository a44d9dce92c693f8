"""Loads vlm-serve with the demo model for minutes, checks every answer, and prints figures.

    python load.py BIN [--seconds 300] [--clients 64]

Answers of one request at a time are asked for first; under load each must come again, character for character: streamed or not, texts,
pictures, videos, several choices, schemas, tools, adapters, seeds, guessed ahead or not. Meanwhile clients go away, bodies are malformed, and readers are slow. Exit code 1 where an
answer differs, a request fails otherwise than by 429, memory grows, or a KV block or a request is left.
"""

import argparse
import atexit
import base64
import http.client
import json
import os
import random
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "Artifacts" / "Demo" / "samples"
SEATS = 8


def url(name: str) -> str:
    return f"data:image/{'png' if name.endswith('png') else 'jpeg'};base64," + base64.b64encode((SAMPLES / name).read_bytes()).decode()


def write_adapter(folder: Path, seed: int, model: Path) -> None:
    """A random LoRA adapter of rank 8 on two layers of each block, as PEFT saves it."""
    shape = json.loads((model / "config.json").read_text())
    shape = shape.get("text_config", shape)
    wide, inner = shape["hidden_size"], shape["intermediate_size"]
    chance = random.Random(seed)
    header, data = {}, b""
    for layer in range(shape["num_hidden_layers"]):
        for name, outputs, inputs in (("self_attn.q_proj", wide, wide), ("mlp.down_proj", wide, inner)):
            for half, rows, columns in (("A", 8, inputs), ("B", outputs, 8)):
                numbers = struct.pack(f"<{rows * columns}f", *(chance.gauss(0, 0.05) for _ in range(rows * columns)))
                header[f"base_model.model.model.layers.{layer}.{name}.lora_{half}.weight"] = dict(
                    dtype="F32", shape=[rows, columns], data_offsets=[len(data), len(data) + len(numbers)])
                data += numbers
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "adapter_config.json").write_text(json.dumps(
        dict(peft_type="LORA", r=8, lora_alpha=16, target_modules=["q_proj", "down_proj"], bias="none", task_type="CAUSAL_LM")))


CLIP = ROOT / "Tests" / "Families" / "Videos" / "_media" / "clip.mp4"


def video_parts() -> list[dict]:
    """The same scene as a file, as a file of which more frames are read, and as frames."""
    film = "data:video/mp4;base64," + base64.b64encode(CLIP.read_bytes()).decode()
    frames = ["data:image/png;base64," + base64.b64encode(f.read_bytes()).decode() for f in sorted(CLIP.parent.glob("frame*.png"))]
    return [dict(type="video_url", video_url=dict(url=film)), dict(type="video_url", video_url=dict(url=film, num_frames=8)), dict(type="video", video=frames)]


def requests(model: str, adapters: list[str], takes_videos: bool) -> list[dict]:
    """What clients ask: each of these has one right answer."""
    def chat(text: str, *pictures: str, **more) -> dict:
        content = [dict(type="image_url", image_url=dict(url=url(p))) for p in pictures] + [dict(type="text", text=text)]
        return dict(model=model, messages=[dict(role="user", content=content)], temperature=0, max_tokens=48) | more

    schema = dict(type="object", properties=dict(color=dict(type="string", maxLength=12), count=dict(type="integer", minimum=0, maximum=9)),
                  required=["color", "count"], additionalProperties=False)
    names = [f.name for f in sorted(SAMPLES.iterdir()) if f.suffix in (".png", ".jpg")]
    plain = [chat("Describe the image.", name) for name in names]
    pairs = [chat("What differs?", names[i], names[i + 1]) for i in range(0, 6, 2)]
    texts = [chat("word " * n + "?", max_tokens=m) for n, m in ((3, 60), (40, 20), (150, 90), (300, 8))]
    choices = [chat("Describe the image.", names[3], n=3, temperature=1.0, seed=s, max_tokens=24) for s in (1, 2)]
    guided = [chat("What color?", name, response_format=dict(type="json_schema", json_schema=dict(name="s", schema=schema, strict=True)))
              for name in names[4:7]]
    words = [chat("What color?", names[5], guided_choice=["red", "green", "black"]), chat("How many?", names[5], guided_regex="[1-9][0-9]? shapes")]
    rules = [chat("Describe the image.", names[6], repetition_penalty=1.3, frequency_penalty=0.5, logprobs=True, top_logprobs=3)]
    adapted = [chat("Describe the image.", name, model=adapter, max_tokens=24) for adapter in adapters for name in names[2:5]]
    copied = [chat("Say again: " + "one red circle, two green squares, " * 4, guided_choice=["one red circle, two green squares, " * 3])]
    tool = dict(type="function", function=dict(name="paint", parameters=schema))
    tools = [chat("Paint it.", names[4], tools=[tool], tool_choice=how) for how in ("required", dict(type="function", function=dict(name="paint")))]
    films = [dict(model=model, messages=[dict(role="user", content=[part, dict(type="text", text="What moves?")])], temperature=0, max_tokens=24)
             for part in video_parts()] if takes_videos else []
    return plain + pairs + texts + choices + guided + words + rules + adapted + copied + tools + films


class Server:
    def __init__(self, bin: Path):
        self.scratch = tempfile.TemporaryDirectory()
        store = self.scratch.name + "/store"
        model = Path(self.scratch.name) / "model"
        shutil.copytree(ROOT / "Artifacts" / "Demo" / "model", model)
        # A template that tells of tools, as those of real models do.
        (model / "chat_template.json").unlink()
        shutil.copy(ROOT / "Tests" / "Clients" / "tools.jinja", model / "chat_template.jinja")
        self.adapters = ["first", "second"]
        for seed, name in enumerate(self.adapters):
            write_adapter(Path(self.scratch.name) / name, seed, model)
        artifact = subprocess.run([bin / "vlmc", "compile", model, "--enable-lora", "--store", store], check=True, text=True,
                                  capture_output=True).stdout.strip()
        shown = subprocess.run([bin / "vlm-cache", "show", artifact, "--json", "--store", store], check=True, text=True, capture_output=True).stdout
        self.takes_videos = (json.loads(shown).get("media") or {}).get("videos", False)
        self.log = open(self.scratch.name + "/log", "w+")
        self.process = subprocess.Popen(
            # A small KV cache: a larger one is touched for the first time as blocks are used, minutes later, and would look like growth.
            [bin / "vlm-serve", artifact, "--port", "0", "--disable-log-requests", "--max-num-seqs", str(SEATS), "--kv-cache-bytes", "24Mi",
             "--speculative-model", "[ngram]", "--num-speculative-tokens", "3", "--ngram-prompt-lookup-max", "3", "--ngram-prompt-lookup-min", "1",
             "--enable-lora", "--max-loras", "2", "--store", store, "--lora-modules", *(f"{name}={self.scratch.name}/{name}" for name in self.adapters)],
            stderr=self.log)
        atexit.register(self.process.kill)
        self.port = 0
        while not self.port:
            time.sleep(0.05)
            found = re.search(r"listening on http://[^:]*:(\d+)", Path(self.log.name).read_text())
            if self.process.poll() is not None:
                raise SystemExit(Path(self.log.name).read_text())
            self.port = int(found[1]) if found else 0
        while self.get("/health")[0] != 200:
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()

    def post(self, body: bytes) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        return connection.getresponse()

    def resident(self) -> float:
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def metric(self, name: str) -> float:
        return sum(float(v) for v in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", self.get("/metrics")[1], re.M))


def answer(value: dict) -> list:
    """What must come again: all but ids and times."""
    return [[c["index"], (c["message"]["content"] or "") + called(c["message"].get("tool_calls")), c["finish_reason"], c.get("logprobs")]
            for c in value["choices"]]


def called(calls: list | None) -> str:
    return "".join(call["function"].get("name", "") + call["function"].get("arguments", "") for call in calls or [])


def streamed(response) -> list:
    choices: dict[int, list] = {}
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        for choice in json.loads(line[6:])["choices"]:
            mine = choices.setdefault(choice["index"], ["", None])
            mine[0] += (choice["delta"].get("content") or "") + called(choice["delta"].get("tool_calls"))
            mine[1] = choice["finish_reason"] or mine[1]
    return [[i, *choices[i]] for i in sorted(choices)]


class Load:
    def __init__(self, server: Server, wanted: list, seconds: float):
        self.server, self.wanted, self.end = server, wanted, time.monotonic() + seconds
        self.counts: dict[str, int] = {}
        self.faults: list[str] = []
        self.lock = threading.Lock()

    def count(self, kind: str) -> None:
        with self.lock:
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def fault(self, text: str) -> None:
        with self.lock:
            self.faults.append(text)

    def run(self, client: int) -> None:
        chance = random.Random(client)
        while time.monotonic() < self.end:
            try:
                self.one(chance)
            except Exception as error:
                self.fault(f"{type(error).__name__}: {error}")

    def one(self, chance: random.Random) -> None:
        body, right = chance.choice(self.wanted)
        kind = chance.random()
        if kind < 0.05:
            return self.leave(json.dumps(body | dict(stream=True, max_tokens=200, ignore_eos=True)).encode(), chance)
        if kind < 0.08:
            return self.malformed(json.dumps(body).encode(), chance)
        streams = kind < 0.5
        response = self.server.post(json.dumps(body | dict(stream=streams)).encode())
        if response.status == 429:
            response.read()
            self.count("429")
            time.sleep(float(response.headers.get("Retry-After", "1")) * chance.random())
            return None
        if response.status != 200:
            return self.fault(f"{response.status}: {response.read()[:300]!r}")
        if streams:
            if kind < 0.1:
                time.sleep(chance.random())  # a slow reader
            got, expected = streamed(response), [c[:3] for c in right]
        else:
            got, expected = answer(json.loads(response.read())), right
        self.count("streamed" if streams else "whole")
        if got != expected:
            self.fault(f"another answer: {got} for {expected}")

    def leave(self, body: bytes, chance: random.Random) -> None:
        """Goes away: in the middle of the body, or after some of the answer."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as connection:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + (body if chance.random() < 0.7 else body[: chance.randrange(len(body))]))
            if chance.random() < 0.7:
                connection.settimeout(chance.random())
                try:
                    connection.recv(1 << chance.randrange(1, 14))
                except TimeoutError:
                    pass
        self.count("left")

    def malformed(self, body: bytes, chance: random.Random) -> None:
        at = chance.randrange(len(body) - 1)
        damaged = [body[:at], body[:at] + b"\0" + body[at:], body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1:], b"[" * at][chance.randrange(4)]
        response = self.server.post(damaged)
        response.read()
        if response.status not in (200, 400, 404, 413, 422, 429):
            self.fault(f"a damaged body was answered {response.status}")
        self.count("damaged")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bin", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    server = Server(options.bin)
    model = json.loads(server.get("/v1/models")[1])["data"][0]["id"]
    wanted = []
    if not server.takes_videos:
        print("the model takes no videos: none are asked about", file=sys.stderr)
    for body in requests(model, server.adapters, server.takes_videos):
        response = server.post(json.dumps(body).encode())
        text = response.read()
        if response.status != 200:
            raise SystemExit(f"alone already {response.status}: {text[:400]!r}")
        wanted.append((body, answer(json.loads(text))))
    print(f"{len(wanted)} requests answered alone", file=sys.stderr)

    load = Load(server, wanted, options.seconds)
    threads = [threading.Thread(target=load.run, args=(i,), daemon=True) for i in range(options.clients)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    waits: dict[str, list[float]] = {"/health": [], "/metrics": []}
    memory: list[tuple[float, float]] = []
    while time.monotonic() < load.end:
        for path, found in waits.items():
            asked = time.monotonic()
            if server.get(path)[0] != 200:
                load.fault(f"{path} was not answered 200")
            found.append(time.monotonic() - asked)
        memory.append((time.monotonic() - begin, server.resident()))
        time.sleep(0.2)
    for thread in threads:
        thread.join(120)
    ended = time.monotonic() - begin
    for _ in range(100):
        left = [server.metric(n) for n in ("vllm:num_requests_running", "vllm:num_requests_waiting")]
        if not any(left):
            break
        time.sleep(0.1)
    if any(left):
        load.fault(f"requests are left: {left}")
    tokens = server.metric("vllm:generation_tokens_total")
    guessed = [server.metric(f"vllm:spec_decode_num_{kind}_tokens_total") for kind in ("draft", "accepted")]
    os.kill(server.process.pid, 15)
    code = server.process.wait(60)
    if code != 0:
        load.fault(f"the server ended with {code}")
    calm = [m for t, m in memory if t > min(60, options.seconds / 3)]
    early, late = statistics.median(calm[: len(calm) // 5 or 1]), statistics.median(calm[-(len(calm) // 5 or 1):])
    growth = late / early - 1
    if growth > 0.02:
        load.fault(f"memory grew by {growth:.1%}")
    print(f"{options.clients} clients, {ended:.0f} s, {SEATS} sequences at once: " + ", ".join(f"{n} {k}" for k, n in sorted(load.counts.items())))
    print(f"guessed tokens: {guessed[0]:.0f}, {guessed[1]:.0f} of them taken")
    print(f"tokens made: {tokens:.0f}, {tokens / ended:.0f} a second")
    for path, found in waits.items():
        print(f"{path}: median {1000 * statistics.median(found):.1f} ms, 99 % {1000 * percentile(found, 0.99):.1f} ms, most {1000 * max(found):.1f} ms")
    print(f"resident memory: {early:.0f} MiB after the first minute, {late:.0f} MiB at the end ({growth:+.1%}), most {max(m for _, m in memory):.0f} MiB")
    print("over time: " + ", ".join(f"{memory[len(memory) * i // 10][1]:.0f}" for i in range(1, 10)) + f", {memory[-1][1]:.0f} MiB")
    print(f"faults: {len(load.faults)}")
    for text in load.faults[:10]:
        print("  " + text[:400])
    return 1 if load.faults else 0


if __name__ == "__main__":
    sys.exit(main())
