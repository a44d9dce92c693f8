"""OpenAI's Python client: embeddings; and a batch file as its objects write one."""

import json
import pathlib
import subprocess
import tempfile
import unittest

import openai
from openai.types.chat import ChatCompletion
from openai.types import CreateEmbeddingResponse
from serving import BIN, KEY, asked, sample, served


def client():
    return openai.OpenAI(base_url=served().url + "/v1", api_key=KEY, max_retries=0)


class Embeddings(unittest.TestCase):
    def test_several_inputs(self):
        # The client asks for base64 unless it is told otherwise, and decodes it.
        found = client().embeddings.create(model="model", input=["A large red circle", "A small blue star"])
        self.assertEqual([item.index for item in found.data], [0, 1])
        self.assertEqual({len(item.embedding) for item in found.data}, {256})
        floats = client().embeddings.create(model="model", input="A small blue star", encoding_format="float")
        for one, other in zip(found.data[1].embedding, floats.data[0].embedding):
            self.assertAlmostEqual(one, other, places=6)
        self.assertAlmostEqual(sum(x * x for x in floats.data[0].embedding), 1, places=5)
        self.assertEqual(floats.usage.prompt_tokens, floats.usage.total_tokens)

    def test_pictures(self):
        one, other = (
            client().embeddings.create(model="model", input=openai.omit, extra_body={"messages": asked(name)}).data[0].embedding
            for name in ("shapes-two.jpg", "text-word.png"))
        self.assertLess(sum(x * y for x, y in zip(one, other)), 0.999)

    def test_dimensions_are_refused(self):
        with self.assertRaises(openai.BadRequestError) as refused:
            client().embeddings.create(model="model", input="a", dimensions=8)
        self.assertEqual(refused.exception.param, "dimensions")
        self.assertIn("dimensions is not supported: only embeddings of models that were trained for it (Matryoshka)", refused.exception.message)


class Batch(unittest.TestCase):
    def test_results_are_the_clients_objects(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vlm-batch-", dir=served().folder))
        body = {"model": "model", "temperature": 0}
        requests = [
            ("a", "/v1/chat/completions", {**body, "messages": asked("shapes-two.jpg")}),
            ("b", "/v1/embeddings", {"model": "model", "input": "A large red circle"}),
        ]
        lines = [json.dumps({"custom_id": name, "method": "POST", "url": url, "body": body}) for name, url, body in requests]
        (folder / "in.jsonl").write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            [BIN / "vlm-serve", "run-batch", "-i", folder / "in.jsonl", "-o", folder / "out.jsonl", served().directory, "--store",
             served().folder / "store"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        results = {result["custom_id"]: result["response"]["body"] for result in map(json.loads, (folder / "out.jsonl").read_text().splitlines())}
        self.assertEqual(ChatCompletion.model_validate(results["a"]).choices[0].message.content, sample("shapes-two.jpg")[1])
        self.assertEqual(len(CreateEmbeddingResponse.model_validate(results["b"]).data[0].embedding), 256)


if __name__ == "__main__":
    unittest.main()
