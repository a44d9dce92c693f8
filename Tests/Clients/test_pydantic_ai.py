"""Pydantic AI: a picture in the prompt, output of a type, by schema and by tool, over each of the three forms of a chat."""

import typing
import unittest

import pydantic
from pydantic_ai import Agent, BinaryContent, NativeOutput, ToolOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from serving import KEY, SAMPLES, sample, served


class Colour(pydantic.BaseModel):
    colour: typing.Literal["green", "blue"]


def models(with_schemas):
    openai = OpenAIProvider(base_url=served().url + "/v1", api_key=KEY)
    yield OpenAIChatModel("model", provider=openai)
    yield OpenAIResponsesModel("model", provider=openai)
    if with_schemas:
        # Pydantic AI asks only Claude for output by schema.
        return
    yield AnthropicModel("model", provider=AnthropicProvider(base_url=served().url, api_key=KEY))


class PydanticAI(unittest.TestCase):
    def outputs(self, name, with_schemas=False, **options):
        picture = BinaryContent(data=(SAMPLES / name).read_bytes(), media_type="image/jpeg")
        for model in models(with_schemas):
            with self.subTest(model=type(model).__name__):
                agent = Agent(model, model_settings={"max_tokens": 200}, **options)
                yield agent.run_sync([sample(name)[0], picture]).output

    def test_answer(self):
        for output in self.outputs("shapes-color.jpg"):
            self.assertEqual(output, sample("shapes-color.jpg")[1])

    def test_output_of_a_type(self):
        for output in self.outputs("shapes-color.jpg", with_schemas=True, output_type=NativeOutput(Colour)):
            self.assertIsInstance(output, Colour)
        for output in self.outputs("shapes-color.jpg", output_type=ToolOutput(Colour)):
            self.assertIsInstance(output, Colour)


if __name__ == "__main__":
    unittest.main()
