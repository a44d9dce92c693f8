"""LlamaIndex's OpenAILike: chat, stream, pictures, structured output."""

import typing
import unittest

import pydantic
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.openai_like import OpenAILike
from serving import KEY, SAMPLES, sample, served


class Colour(pydantic.BaseModel):
    """A colour."""

    colour: typing.Literal["green", "blue"]


class LlamaIndex(unittest.TestCase):
    def setUp(self):
        self.model = OpenAILike(
            model="model", api_base=served().url + "/v1", api_key=KEY, is_chat_model=True, is_function_calling_model=True,
            temperature=0, max_tokens=200, max_retries=0)

    def asked(self, name):
        picture = ImageBlock(image=(SAMPLES / name).read_bytes(), image_mimetype="image/jpeg")
        return [ChatMessage(role="user", blocks=[TextBlock(text=sample(name)[0]), picture])]

    def test_answer(self):
        self.assertEqual(self.model.chat(self.asked("text-number.jpg")).message.content, sample("text-number.jpg")[1])
        self.assertEqual(self.model.complete("Hello!").text, "Hello! Show me a picture and ask me about it.")

    def test_stream(self):
        deltas = [part.delta or "" for part in self.model.stream_chat(self.asked("shapes-two.jpg"))]
        self.assertEqual("".join(deltas), sample("shapes-two.jpg")[1])

    def test_structured_output(self):
        answer = self.model.as_structured_llm(Colour).chat(self.asked("shapes-color.jpg"))
        self.assertIsInstance(answer.raw, Colour)


if __name__ == "__main__":
    unittest.main()
