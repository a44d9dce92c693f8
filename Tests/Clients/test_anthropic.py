"""Anthropic's Python client: messages, streams, tools, counting."""

import typing
import unittest

import anthropic
import pydantic
from anthropic.types import Message
from serving import KEY, encoded, sample, served, site, thinking
from test_openai_tools import TOOLS

FUNCTIONS = [
    {"name": tool["function"]["name"], "input_schema": tool["function"]["parameters"], "cache_control": {"type": "ephemeral"}} for tool in TOOLS]


def client():
    return anthropic.Anthropic(base_url=served().url, api_key=KEY, max_retries=0)


def asked(*names):
    pictures = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png" if name.endswith("png") else "image/jpeg", "data": encoded(name)}}
        for name in names]
    return [{"role": "user", "content": pictures + [{"type": "text", "text": sample(names[0])[0]}]}]


class Messages(unittest.TestCase):
    def create(self, messages, max_tokens=200, min_tokens=0, **fields):
        answer = client().messages.create(
            model="model", max_tokens=max_tokens, messages=messages, extra_body={"temperature": 0, "top_k": -1, "min_tokens": min_tokens}, **fields)
        # The client takes what comes; its type says what must.
        return Message.model_validate(answer.to_dict(), strict=True)

    def test_pictures(self):
        for names in (("shapes-three.png",), ("pair-compared-1.jpg", "pair-compared-2.jpg")):
            answer = self.create(asked(*names))
            self.assertEqual([block.text for block in answer.content], [sample(names[0])[1]])
            self.assertEqual((answer.type, answer.role, answer.model, answer.stop_reason), ("message", "assistant", "model", "end_turn"))
            self.assertGreater(answer.usage.output_tokens, 5)

    def test_picture_by_address(self):
        content = [{"type": "image", "source": {"type": "url", "url": f"{site()}/shapes-three.png"}}, {"type": "text", "text": sample("shapes-three.png")[0]}]
        self.assertEqual(self.create([{"role": "user", "content": content}]).content[0].text, sample("shapes-three.png")[1])

    def test_system(self):
        for system in ("You are a helpful assistant.", [{"type": "text", "text": "You are a helpful assistant.", "cache_control": {"type": "ephemeral"}}]):
            answer = self.create([{"role": "user", "content": "Hello!"}], system=system, metadata={"user_id": "x"})
            self.assertEqual(answer.content[0].text, "Hello! Show me a picture and ask me about it.")

    def test_ends(self):
        answer = self.create(asked("shapes-three.png"), stop_sequences=[" triangle"])
        self.assertEqual((answer.stop_reason, answer.stop_sequence), ("stop_sequence", " triangle"))
        self.assertEqual(answer.content[0].text, "A large orange")
        answer = self.create(asked("shapes-three.png"), max_tokens=3)
        self.assertEqual((answer.stop_reason, answer.usage.output_tokens), ("max_tokens", 3))

    def test_tools_and_the_way_back(self):
        question = asked("shapes-count.png")
        answer = self.create(question, tools=FUNCTIONS, tool_choice={"type": "tool", "name": "count"})
        use = answer.content[0]
        self.assertEqual((answer.stop_reason, use.type, use.name), ("tool_use", "tool_use", "count"))
        self.assertIn(use.input["number"], range(10))
        picture = asked("shapes-count.png")[0]["content"][0]
        for content in ("2", [{"type": "text", "text": "2"}, picture]):
            result = {"type": "tool_result", "tool_use_id": use.id, "content": content, "is_error": False}
            messages = question + [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
            # The model knows no tools, and the id of the call, which is new each time, may move it to say nothing.
            again = self.create(messages, tools=FUNCTIONS, tool_choice={"type": "none"}, max_tokens=20, min_tokens=1)
            self.assertEqual([block.type for block in again.content], ["text"])

    def test_any_tool(self):
        answer = self.create(asked("shapes-count.png"), tools=FUNCTIONS, tool_choice={"type": "any", "disable_parallel_tool_use": True})
        self.assertEqual((answer.stop_reason, [block.type for block in answer.content]), ("tool_use", ["tool_use"]))

    def test_parse(self):
        class Colour(pydantic.BaseModel):
            colour: typing.Literal["green", "blue"]

        answer = client().messages.parse(
            model="model", max_tokens=200, messages=asked("shapes-color.jpg"), output_format=Colour)
        self.assertIsInstance(answer.parsed_output, Colour)

    def test_counting(self):
        counted = client().messages.count_tokens(model="model", messages=asked("shapes-count.png"), tools=FUNCTIONS, system="Be brief.")
        usage = self.create(asked("shapes-count.png"), tools=FUNCTIONS, system="Be brief.", max_tokens=1).usage
        self.assertEqual(counted.input_tokens, usage.input_tokens + usage.cache_read_input_tokens)

    def test_models(self):
        models = client().models.list().data
        self.assertEqual([models[0].id, models[0].type, models[0].display_name], ["model", "model", "model"])
        self.assertEqual(client().models.retrieve("model").created_at, models[0].created_at)

    def test_errors_have_their_classes(self):
        with self.assertRaises(anthropic.NotFoundError) as raised:
            client().messages.create(model="other", max_tokens=1, messages=asked("text-word.png"))
        self.assertEqual(raised.exception.body["error"]["type"], "not_found_error")
        picture = {"type": "image", "source": {"type": "url", "url": "https://x.example/y.png"}}
        with self.assertRaises(anthropic.BadRequestError) as raised:
            self.create([{"role": "user", "content": [{"type": "text", "text": "x"}, picture]}], system="s")
        self.assertIn("messages[0].content[1]: the URL's host is not one", raised.exception.body["error"]["message"])
        with self.assertRaises(anthropic.AuthenticationError):
            anthropic.Anthropic(base_url=served().url, api_key="wrong", max_retries=0).messages.create(
                model="model", max_tokens=1, messages=asked("text-word.png"))
        with self.assertRaises(anthropic.BadRequestError) as raised:
            self.create([{"role": "user", "content": "x"}], tools=[{"type": "bash_20250124", "name": "bash"}])
        self.assertIn("tools[0].type", raised.exception.body["error"]["message"])


class Threads(unittest.TestCase):
    """Helpers that would have the server hold the conversation, and go on where it holds none."""

    FIELDS = {"model": "model", "max_tokens": 200, "extra_body": {"temperature": 0, "top_k": -1}}

    def test_tool_runner(self):
        seen = []

        @anthropic.beta_tool
        def count(number: typing.Literal[1, 2, 3]) -> str:
            """Counts shapes.

            Args:
                number: How many there are.
            """
            seen.append(number)
            return "Well counted."

        for stream in (False, True):
            seen.clear()
            runner = client().beta.messages.tool_runner(
                messages=asked("shapes-count.png"), tools=[count], tool_choice={"type": "tool", "name": "count"}, max_iterations=2, stream=stream, **self.FIELDS)
            answers = [item.get_final_message() if stream else item for item in runner]
            self.assertEqual([[block.type for block in answer.content] for answer in answers], [["tool_use"]] * 2)
            self.assertEqual(seen[0], answers[0].content[0].input["number"])
            # The second request has the first one's messages as well.
            read = [answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) for answer in answers]
            self.assertGreater(read[1], read[0])

    def test_a_thread(self):
        thread = client().beta.messages.thread(unsupported_request_behavior="continue_unthreaded", **self.FIELDS)
        self.assertEqual(thread.send(asked("shapes-three.png")[0]).content[0].text, sample("shapes-three.png")[1])
        again = thread.send({"role": "user", "content": "Hello!"})
        self.assertEqual((len(thread.messages), thread.previous_message_id, again.type), (4, None, "message"))
        with self.assertRaises(anthropic.BadRequestError) as raised:
            client().beta.messages.thread(**self.FIELDS).send(asked("shapes-three.png")[0])
        self.assertEqual(raised.exception.body["error"]["details"], {"error_code": "thread_unsupported_request", "unsupported": ["thread"]})

    def test_fields_of_helpers(self):
        answer = client().beta.messages.create(
            messages=[{"role": "system", "content": "Be brief."}, *asked("shapes-three.png")], betas=["context-management-2025-06-27"],
            context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            tools=[{**FUNCTIONS[0], "defer_loading": False, "allowed_callers": ["direct"]}], tool_choice={"type": "none"}, **self.FIELDS)
        self.assertEqual([block.type for block in answer.content], ["text"])


class Streams(unittest.TestCase):
    def events(self, messages, **fields):
        events = client().messages.create(model="model", max_tokens=200, messages=messages, stream=True, **fields)
        return [type(event).model_validate(event.to_dict(), strict=True) for event in events]

    def test_text(self):
        events = self.events(asked("shapes-two.jpg"))
        deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
        self.assertEqual("".join(deltas), sample("shapes-two.jpg")[1])
        self.assertEqual([event.type for event in events], [
            "message_start", "content_block_start", *["content_block_delta"] * len(deltas), "content_block_stop", "message_delta", "message_stop"])
        self.assertEqual((events[-2].delta.stop_reason, events[-2].usage.output_tokens > 10), ("end_turn", True))

    def test_helper(self):
        with client().messages.stream(model="model", max_tokens=200, messages=asked("shapes-two.jpg")) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual((text, final.content[0].text), (sample("shapes-two.jpg")[1],) * 2)
        self.assertEqual((final.stop_reason, final.usage.output_tokens > 10), ("end_turn", True))

    def test_calls(self):
        with client().messages.stream(
            model="model", max_tokens=200, messages=asked("shapes-count.png"), tools=FUNCTIONS,
            tool_choice={"type": "tool", "name": "paint"}) as stream:
            final = stream.get_final_message()
        self.assertEqual((final.stop_reason, final.content[0].name), ("tool_use", "paint"))
        self.assertIn(final.content[0].input["color"], ("red", "green"))


class Thinking(unittest.TestCase):
    THINKING = {"type": "enabled", "budget_tokens": 1024}

    def setUp(self):
        self.api = anthropic.Anthropic(base_url=thinking().url, api_key=KEY, max_retries=0)
        answer = sample("shapes-three.png")[1]
        self.thought, self.said = answer[: answer.index(" triangle")], answer[answer.index(" triangle"):]

    def create(self, messages, **fields):
        fields = {"max_tokens": 2048, "thinking": self.THINKING, **fields}
        return self.api.messages.create(model="model", messages=messages, extra_body={"temperature": 0, "top_k": -1}, **fields)

    def test_a_block_of_thinking(self):
        answer = Message.model_validate(self.create(asked("shapes-three.png")).to_dict(), strict=True)
        self.assertEqual([block.type for block in answer.content], ["thinking", "text"])
        self.assertEqual((answer.content[0].thinking, answer.content[1].text), (self.thought, self.said))
        self.assertTrue(answer.content[0].signature)
        for off in ({"type": "disabled"}, {"type": "adaptive"}):
            self.assertEqual(self.create(asked("shapes-three.png"), thinking=off).content[1].text, self.said)

    def test_the_way_back(self):
        question = asked("shapes-three.png")
        messages = question + [{"role": "assistant", "content": self.create(question).content}, {"role": "user", "content": "Hello!"}]
        usage = self.create(messages, max_tokens=3).usage
        counted = self.api.messages.count_tokens(model="model", messages=messages, thinking=self.THINKING).input_tokens
        self.assertEqual(usage.input_tokens + usage.cache_read_input_tokens, counted)
        self.assertGreater(counted, self.api.messages.count_tokens(model="model", messages=question).input_tokens)

    def test_stream(self):
        events = [type(event).model_validate(event.to_dict(), strict=True) for event in self.create(asked("shapes-three.png"), stream=True)]
        deltas = [event.delta for event in events if event.type == "content_block_delta"]
        self.assertEqual("".join(delta.thinking for delta in deltas if delta.type == "thinking_delta"), self.thought)
        self.assertEqual("".join(delta.text for delta in deltas if delta.type == "text_delta"), self.said)
        self.assertEqual([event.type for event in events if event.type != "content_block_delta"], [
            "message_start", "content_block_start", "content_block_stop", "content_block_start", "content_block_stop", "message_delta", "message_stop"])

    def test_helper(self):
        with self.api.messages.stream(model="model", max_tokens=2048, thinking=self.THINKING, messages=asked("shapes-three.png")) as stream:
            final = stream.get_final_message()
        self.assertEqual((final.content[0].thinking, final.content[1].text), (self.thought, self.said))
        self.assertTrue(final.content[0].signature)

    def test_an_answer_goes_on(self):
        messages = asked("shapes-three.png") + [{"role": "assistant", "content": "A large orange"}]
        answer = client().messages.create(model="model", max_tokens=200, messages=messages, extra_body={"temperature": 0, "top_k": -1})
        self.assertEqual("A large orange" + answer.content[0].text, sample("shapes-three.png")[1])


if __name__ == "__main__":
    unittest.main()
