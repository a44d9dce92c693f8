"""Pydantic AI: a picture in the prompt, output of a type, by schema and by tool."""

import typing
import unittest

import pydantic
from pydantic_ai import Agent, BinaryContent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from serving import KEY, SAMPLES, sample, served


class Colour(pydantic.BaseModel):
    colour: typing.Literal["green", "blue"]


class PydanticAI(unittest.TestCase):
    def run_agent(self, name, **options):
        model = OpenAIChatModel("model", provider=OpenAIProvider(base_url=served().url + "/v1", api_key=KEY))
        agent = Agent(model, model_settings={"temperature": 0, "max_tokens": 200}, **options)
        picture = BinaryContent(data=(SAMPLES / name).read_bytes(), media_type="image/jpeg")
        return agent.run_sync([sample(name)[0], picture]).output

    def test_answer(self):
        self.assertEqual(self.run_agent("shapes-color.jpg"), sample("shapes-color.jpg")[1])

    def test_output_of_a_type(self):
        for output in (NativeOutput(Colour), ToolOutput(Colour)):
            self.assertIsInstance(self.run_agent("shapes-color.jpg", output_type=output), Colour)


if __name__ == "__main__":
    unittest.main()
