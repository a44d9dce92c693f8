"""One vlm-serve for all tests of this folder, on a free loopback port; it ends with the tests.

It serves the demo model with another chat template, tools.jinja, which tells of tools as the models of real use do.
"""

import atexit
import base64
import functools
import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("VLM_BIN") or ROOT / ".build/release")
SAMPLES = ROOT / "Artifacts/Demo/samples"
KEY = "a key of these tests"


class Served:
    """A running server, with flags of its own: its address, and the model directory that was compiled for it.

    With an authority, a file of certificates, it is asked over TLS. With a word it thinks: what comes before the word in an answer.
    """

    def __init__(self, *flags, authority=None, thinks_until=None):
        self.context = ssl.create_default_context(cafile=authority) if authority else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vlm-clients-"))
        atexit.register(self.stop)
        self.directory = self.folder / "model"
        shutil.copytree(ROOT / "Artifacts/Demo/model", self.directory)
        (self.directory / "chat_template.json").unlink()
        shutil.copy(pathlib.Path(__file__).with_name("tools.jinja"), self.directory / "chat_template.jinja")
        if thinks_until:
            self.end_thoughts_before(thinks_until)
            flags = ["--reasoning-parser", "deepseek_r1", *flags]
        store = ["--store", str(self.folder / "store")]
        compiled = subprocess.run([BIN / "vlmc", "compile", self.directory, *store], capture_output=True, text=True)
        if compiled.returncode != 0:
            raise RuntimeError(compiled.stderr)
        self.log = open(self.folder / "log", "w+")
        command = [BIN / "vlm-serve", compiled.stdout.strip(), "--port", "0", "--api-key", KEY, "--allowed-origins", "https://page.example"]
        command += ["--allowed-media-domains", "127.0.0.1", "--allow-private-media-addresses", "--allowed-local-media-path", SAMPLES]
        self.process = subprocess.Popen([*command, *store, *flags], stderr=self.log)
        self.url = self.address()

    def end_thoughts_before(self, word):
        """Has the tokenizer write the end of thinking before a token."""
        path = self.directory / "tokenizer.json"
        tokenizer = json.loads(path.read_text())
        mark = {"type": "Replace", "pattern": {"String": word}, "content": "</think>" + word}
        tokenizer["decoder"] = {"type": "Sequence", "decoders": [mark, tokenizer["decoder"]]}
        path.write_text(json.dumps(tokenizer))

    def said(self):
        return (self.folder / "log").read_text()

    def address(self):
        for _ in range(600):
            if self.process.poll() is not None:
                break
            for line in self.said().splitlines():
                if "listening on http" in line and self.is_healthy(url := line.split("listening on ")[1].strip()):
                    return url
            time.sleep(0.05)
        raise RuntimeError("vlm-serve did not start:\n" + self.said())

    def is_healthy(self, url):
        try:
            return urllib.request.urlopen(url + "/health", context=self.context).status == 200
        except OSError:
            return False

    def stop(self):
        process = getattr(self, "process", None)
        if process and process.poll() is None:
            process.terminate()
            process.wait(60)
        shutil.rmtree(self.folder)


@functools.cache
def served():
    return Served()


@functools.cache
def thinking():
    """A server whose answer about shapes-three.png begins with a thought, `A large orange`."""
    return Served(thinks_until="Ġtriangle")


@functools.cache
def served_by_tls():
    """A server within TLS, and the certificate that it signed itself."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vlm-clients-"))
    atexit.register(shutil.rmtree, folder)
    certificate, key = folder / "server.pem", folder / "server.key"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=vlm test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return Served("--ssl-certfile", certificate, "--ssl-keyfile", key, authority=certificate), certificate


@functools.cache
def site():
    """The address of a site with the sample pictures."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=SAMPLES)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    atexit.register(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}"


def sample(name):
    """The question about a sample picture, and the model's answer to it."""
    for entry in json.loads((SAMPLES / "samples.json").read_text()):
        if name in entry["images"]:
            return entry["question"], entry["answer"]
    raise KeyError(name)


def encoded(name):
    return base64.b64encode((SAMPLES / name).read_bytes()).decode()


def data_url(name):
    kind = "png" if name.endswith(".png") else "jpeg"
    return f"data:image/{kind};base64,{encoded(name)}"


def part(name):
    return {"type": "image_url", "image_url": {"url": data_url(name)}}


def asked(name, *more):
    """A chat of one question about pictures."""
    content = [part(picture) for picture in (name, *more)] + [{"type": "text", "text": sample(name)[0]}]
    return [{"role": "user", "content": content}]
