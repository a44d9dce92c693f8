"""The script that deployment guides of vLLM show: a picture in base64, and the model's directory as its name."""

import unittest

import requests
from serving import KEY, data_url, sample, served


class Guides(unittest.TestCase):
    def body(self, **fields):
        question = sample("shapes-color.jpg")[0]
        return {
            "model": str(served().directory),
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": [
                    {"type": "text", "text": question},
                    {"type": "image_url", "image_url": {"url": data_url("shapes-color.jpg")}}]}],
            "max_tokens": 64, "temperature": 0, "top_p": 1.0, "top_k": -1, "repetition_penalty": 1.0, "stop": None,
            "stop_token_ids": None, "skip_special_tokens": True, "ignore_eos": False, "seed": None, **fields}

    def post(self, path, body, **options):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        return requests.post(served().url + path, headers=headers, json=body, timeout=60, **options)

    def test_answer(self):
        answer = self.post("/v1/chat/completions", self.body(stream=False))
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(answer.json()["choices"][0]["message"]["content"], sample("shapes-color.jpg")[1])
        self.assertEqual(int(answer.headers["Content-Length"]), len(answer.content))

    def test_stream(self):
        answer = self.post("/v1/chat/completions", self.body(stream=True), stream=True)
        lines = [line.decode() for line in answer.iter_lines() if line]
        self.assertTrue(all(line.startswith("data: ") for line in lines), lines)
        self.assertEqual(lines[-1], "data: [DONE]")

    def test_tokenize_and_back(self):
        tokens = self.post("/tokenize", {"model": "model", "prompt": "What do you see?"}).json()
        self.assertEqual(tokens["count"], len(tokens["tokens"]))
        self.assertEqual(tokens["max_model_len"], 4096)
        self.assertEqual(self.post("/detokenize", {"model": "model", "tokens": tokens["tokens"]}).json()["prompt"], "What do you see?")
        asked = {key: self.body()[key] for key in ("model", "messages")}
        counted = self.post("/tokenize", asked).json()["count"]
        usage = self.post("/v1/chat/completions", self.body()).json()["usage"]
        self.assertEqual(counted, usage["prompt_tokens"])


if __name__ == "__main__":
    unittest.main()
