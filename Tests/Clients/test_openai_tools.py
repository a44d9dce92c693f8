"""Functions that OpenAI's Python client offers: calls that must come are guided, whatever the model."""

import json
import typing
import unittest

import openai
import pydantic
from serving import asked
from test_openai_chat import client

TOOLS = [
    {"type": "function", "function": {
        "name": "count", "description": "Counts shapes.", "parameters": {
            "type": "object", "properties": {"number": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["number"]}}},
    {"type": "function", "function": {
        "name": "paint", "parameters": {
            "type": "object", "properties": {"color": {"enum": ["red", "green"]}}, "required": ["color"]}}},
]


class Tools(unittest.TestCase):
    def create(self, choice, **fields):
        return client().chat.completions.create(
            model="model", messages=asked("shapes-count.png"), temperature=0, tools=TOOLS, tool_choice=choice, max_tokens=200, **fields)

    def test_required(self):
        choice = self.create("required", parallel_tool_calls=False).choices[0]
        self.assertEqual((choice.finish_reason, len(choice.message.tool_calls)), ("tool_calls", 1))
        call = choice.message.tool_calls[0].function
        arguments = json.loads(call.arguments)
        self.assertIn(call.name, ("count", "paint"))
        self.assertTrue(arguments.get("number") in range(10) or arguments.get("color") in ("red", "green"), arguments)

    def test_named_and_the_way_back(self):
        message = self.create({"type": "function", "function": {"name": "count"}}).choices[0].message
        self.assertEqual(message.tool_calls[0].function.name, "count")
        self.assertIn(json.loads(message.tool_calls[0].function.arguments)["number"], range(10))
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "2"}
        answer = client().chat.completions.create(
            model="model", messages=asked("shapes-count.png") + [message, result], tools=TOOLS, max_tokens=20)
        self.assertIn(answer.choices[0].finish_reason, ("stop", "length", "tool_calls"))

    def test_auto(self):
        # The demo model has never seen a tool, so that what it says may be anything but a fault.
        choice = self.create("auto").choices[0]
        self.assertIn(choice.finish_reason, ("stop", "length", "tool_calls"))

    def test_none(self):
        self.assertEqual(self.create("none").choices[0].message.content, "2")

    def test_stream(self):
        chunks = list(self.create({"type": "function", "function": {"name": "paint"}}, stream=True))
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        self.assertEqual(calls[0].function.name, "paint")
        self.assertIn(json.loads("".join(call.function.arguments for call in calls))["color"], ("red", "green"))
        self.assertEqual(chunks[-1].choices[0].finish_reason, "tool_calls")

    def test_parse(self):
        class Paint(pydantic.BaseModel):
            color: typing.Literal["blue", "white"]

        answer = client().chat.completions.parse(
            model="model", messages=asked("shapes-two.jpg"), temperature=0, max_tokens=200,
            tools=[openai.pydantic_function_tool(Paint)], tool_choice="required", parallel_tool_calls=False)
        self.assertIsInstance(answer.choices[0].message.tool_calls[0].function.parsed_arguments, Paint)


if __name__ == "__main__":
    unittest.main()
