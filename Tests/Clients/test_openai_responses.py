"""OpenAI's Python client: responses."""

import json
import typing
import unittest

import openai
import pydantic
from openai.types.responses import Response
from serving import KEY, data_url, sample, site, thinking
from test_openai_chat import client
from test_openai_tools import TOOLS

FUNCTIONS = [{"type": "function", "strict": True, **tool["function"]} for tool in TOOLS]


def asked(*names):
    content = [{"type": "input_image", "image_url": data_url(name), "detail": "auto"} for name in names]
    return [{"role": "user", "content": content + [{"type": "input_text", "text": sample(names[0])[0]}]}]


class Responses(unittest.TestCase):
    def create(self, given, **fields):
        answer = client().responses.create(model="model", input=given, temperature=0, **fields)
        # The client takes what comes; its type says what must.
        return Response.model_validate(answer.to_dict(), strict=True)

    def test_text(self):
        answer = self.create("Hello!", instructions="You are a helpful assistant.", metadata={"a": "b"})
        self.assertEqual(answer.output_text, "Hello! Show me a picture and ask me about it.")
        self.assertEqual((answer.status, answer.object, answer.model), ("completed", "response", "model"))
        self.assertEqual((answer.instructions, answer.metadata, answer.store), ("You are a helpful assistant.", {"a": "b"}, False))
        self.assertEqual(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)

    def test_pictures(self):
        for names in (("shapes-three.png",), ("pair-compared-1.jpg", "pair-compared-2.jpg")):
            self.assertEqual(self.create(asked(*names)).output_text, sample(names[0])[1])

    def test_picture_by_address(self):
        given = asked("shapes-three.png")
        given[0]["content"][0]["image_url"] = f"{site()}/shapes-three.png"
        self.assertEqual(self.create(given).output_text, sample("shapes-three.png")[1])

    def test_the_way_back(self):
        first = self.create(asked("shapes-count.png"))
        again = self.create(asked("shapes-count.png") + first.output + [{"role": "user", "content": "Hello!"}])
        self.assertEqual(again.status, "completed")
        self.assertGreater(again.usage.input_tokens, first.usage.input_tokens)

    def test_length(self):
        answer = self.create(asked("shapes-three.png"), max_output_tokens=4)
        self.assertEqual((answer.status, answer.incomplete_details.reason), ("incomplete", "max_output_tokens"))
        self.assertEqual((answer.output[0].status, answer.usage.output_tokens), ("incomplete", 4))

    def test_logprobs(self):
        answer = self.create(asked("text-word.png"), include=["message.output_text.logprobs"], top_logprobs=2)
        logprobs = answer.output[0].content[0].logprobs
        self.assertTrue(b"".join(bytes(token.bytes) for token in logprobs).startswith(b"ORDER"))
        self.assertEqual(len(logprobs[0].top_logprobs), 2)

    def test_parse(self):
        class Count(pydantic.BaseModel):
            number: int = pydantic.Field(ge=0, le=9)

        answer = client().responses.parse(model="model", input=asked("shapes-count.png"), text_format=Count, temperature=0)
        self.assertIsInstance(answer.output_parsed, Count)
        self.assertTrue(self.create("JSON, please.", text={"format": {"type": "json_object"}}, max_output_tokens=2).output_text.startswith("{"))

    def test_tools_and_the_way_back(self):
        given = asked("shapes-count.png")
        answer = self.create(given, tools=FUNCTIONS, tool_choice={"type": "function", "name": "count"}, max_output_tokens=200)
        call = answer.output[-1]
        self.assertEqual((call.type, call.name, call.status, answer.tools[0].name), ("function_call", "count", "completed", "count"))
        self.assertIn(json.loads(call.arguments)["number"], range(10))
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "2"}
        again = self.create(given + [call, result], tools=FUNCTIONS, tool_choice="none", max_output_tokens=20)
        self.assertEqual(again.output[0].type, "message")

    def test_what_is_not_kept_is_refused(self):
        for fields in ({"previous_response_id": "resp_1"}, {"background": True}, {"conversation": "c"}, {"truncation": "auto"}):
            with self.assertRaises(openai.BadRequestError) as raised:
                self.create("x", **fields)
            self.assertEqual(raised.exception.param, next(iter(fields)))
        with self.assertRaises(openai.BadRequestError) as raised:
            self.create("x", tools=[{"type": "web_search"}])
        self.assertEqual(raised.exception.param, "tools[0].type")


class Streams(unittest.TestCase):
    def events(self, given, **fields):
        events = client().responses.create(model="model", input=given, temperature=0, stream=True, **fields)
        return [type(event).model_validate(event.to_dict(), strict=True) for event in events]

    def test_text(self):
        events = self.events(asked("shapes-two.jpg"))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        kinds = [event.type.removeprefix("response.") for event in events]
        deltas = kinds.count("output_text.delta")
        self.assertGreater(deltas, 5)
        self.assertEqual(kinds, [
            "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * deltas, "output_text.done",
            "content_part.done", "output_item.done", "completed"])
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        self.assertEqual(text, sample("shapes-two.jpg")[1])
        self.assertEqual(events[-1].response.output_text, text)
        self.assertGreater(events[-1].response.usage.output_tokens, 10)

    def test_calls(self):
        events = self.events(asked("shapes-two.jpg"), tools=FUNCTIONS, tool_choice="required", parallel_tool_calls=False, max_output_tokens=200)
        kinds = [event.type.removeprefix("response.") for event in events]
        self.assertEqual([kind for kind in kinds if not kind.endswith(".delta")], [
            "created", "in_progress", "output_item.added", "function_call_arguments.done", "output_item.done", "completed"])
        deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        self.assertGreater(len(deltas), 2)
        self.assertEqual("".join(deltas), events[-2].item.arguments)
        self.assertIn(events[-2].item.name, ("count", "paint"))

    def test_helper(self):
        class Colour(pydantic.BaseModel):
            colour: typing.Literal["green", "blue"]

        with client().responses.stream(model="model", input=asked("shapes-color.jpg"), text_format=Colour, temperature=0) as stream:
            for _ in stream:
                pass
            self.assertIsInstance(stream.get_final_response().output_parsed, Colour)


class Thinking(unittest.TestCase):
    def create(self, given, **fields):
        return openai.OpenAI(base_url=thinking().url + "/v1", api_key=KEY, max_retries=0).responses.create(model="model", input=given, temperature=0, **fields)

    def setUp(self):
        answer = sample("shapes-three.png")[1]
        self.thought, self.said = answer[: answer.index(" triangle")], answer[answer.index(" triangle"):]

    def test_an_item_of_reasoning(self):
        answer = Response.model_validate(self.create(asked("shapes-three.png"), reasoning={"effort": "low", "summary": "auto"}).to_dict(), strict=True)
        self.assertEqual([item.type for item in answer.output], ["reasoning", "message"])
        self.assertEqual(([part.text for part in answer.output[0].content], answer.output_text), ([self.thought], self.said))
        self.assertEqual(answer.output[0].summary, [])
        self.assertIn(answer.usage.output_tokens_details.reasoning_tokens, range(2, answer.usage.output_tokens))
        self.assertEqual(answer.reasoning.effort, "low")

    def test_the_way_back(self):
        first = self.create(asked("shapes-three.png"))
        again = self.create(asked("shapes-three.png") + first.output + [{"role": "user", "content": "Hello!"}], max_output_tokens=3)
        self.assertGreater(again.usage.input_tokens, first.usage.input_tokens)

    def test_cut_while_it_thinks(self):
        answer = self.create(asked("shapes-three.png"), max_output_tokens=2)
        self.assertEqual(([item.type for item in answer.output], answer.output[0].status, answer.output_text), (["reasoning"], "incomplete", ""))

    def test_stream(self):
        events = [type(event).model_validate(event.to_dict(), strict=True) for event in self.create(asked("shapes-three.png"), stream=True)]
        kinds = [event.type.removeprefix("response.") for event in events]
        self.assertEqual([kind for kind in kinds if not kind.endswith(".delta")], [
            "created", "in_progress", "output_item.added", "content_part.added", "reasoning_text.done", "content_part.done", "output_item.done",
            "output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done", "completed"])
        for kind, text in (("reasoning_text.delta", self.thought), ("output_text.delta", self.said)):
            self.assertEqual("".join(event.delta for event in events if event.type == "response." + kind), text)
        self.assertEqual(events[-1].response.output_text, self.said)

    def test_helper(self):
        api = openai.OpenAI(base_url=thinking().url + "/v1", api_key=KEY, max_retries=0)
        with api.responses.stream(model="model", input=asked("shapes-three.png"), temperature=0) as stream:
            for _ in stream:
                pass
            self.assertEqual(stream.get_final_response().output_text, self.said)


if __name__ == "__main__":
    unittest.main()
