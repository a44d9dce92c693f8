"""instructor: answers of a type, by tools, by schema and by JSON."""

import typing
import unittest

import instructor
import openai
import pydantic
from serving import KEY, asked, served


class Colour(pydantic.BaseModel):
    colour: typing.Literal["green", "blue"]


class Instructor(unittest.TestCase):
    def test_output_of_a_type(self):
        plain = openai.OpenAI(base_url=served().url + "/v1", api_key=KEY, max_retries=0)
        for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
            client = instructor.from_openai(plain, mode=mode)
            answer = client.chat.completions.create(
                model="model", messages=asked("shapes-color.jpg"), response_model=Colour, temperature=0, max_tokens=200, max_retries=0)
            self.assertIsInstance(answer, Colour, mode)


if __name__ == "__main__":
    unittest.main()
