"""LiteLLM, which speaks to this server as to any of OpenAI's kind."""

import json
import unittest

import litellm
from serving import KEY, asked, data_url, sample, served
from test_openai_tools import TOOLS


class LiteLLM(unittest.TestCase):
    def completion(self, messages, provider="openai", **fields):
        return litellm.completion(
            model=f"{provider}/model", api_base=served().url + "/v1", api_key=KEY, messages=messages, temperature=0, num_retries=0, **fields)

    def test_answer(self):
        for provider in ("openai", "hosted_vllm"):
            answer = self.completion(asked("text-described.jpg"), provider)
            self.assertEqual(answer.choices[0].message.content, sample("text-described.jpg")[1])

    def test_other_forms(self):
        question, expected = sample("text-described.jpg")
        content = [{"type": "input_image", "image_url": data_url("text-described.jpg")}, {"type": "input_text", "text": question}]
        answer = litellm.responses(model="openai/model", api_base=served().url + "/v1", api_key=KEY, input=[{"role": "user", "content": content}])
        self.assertEqual(answer.output[0].content[0].text, expected)
        answer = litellm.completion(
            model="anthropic/model", api_base=served().url, api_key=KEY, messages=asked("text-described.jpg"), max_tokens=60)
        self.assertEqual(answer.choices[0].message.content, expected)

    def test_stream(self):
        chunks = list(self.completion(asked("shapes-two.jpg"), stream=True))
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks), sample("shapes-two.jpg")[1])

    def test_tools(self):
        answer = self.completion(asked("shapes-count.png"), tools=TOOLS, tool_choice="required", parallel_tool_calls=False, max_tokens=200)
        call = answer.choices[0].message.tool_calls[0].function
        self.assertIn(call.name, ("count", "paint"))
        self.assertEqual(len(json.loads(call.arguments)), 1)


if __name__ == "__main__":
    unittest.main()
