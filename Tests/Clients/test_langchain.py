"""LangChain's ChatOpenAI: a picture after text, tools, structured output."""

import typing
import unittest

import pydantic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from serving import KEY, data_url, encoded, sample, served


@tool
def paint(color: typing.Literal["red", "green"]) -> str:
    """Paints the wall."""
    return f"The wall is {color}."


class Count(pydantic.BaseModel):
    """How many shapes there are."""

    number: int = pydantic.Field(ge=0, le=9)


class LangChain(unittest.TestCase):
    def setUp(self):
        self.model = ChatOpenAI(
            base_url=served().url + "/v1", api_key=KEY, model="model", temperature=0, max_tokens=200, max_retries=0, stream_usage=True)

    def asked(self, name, picture):
        return [SystemMessage("You are a helpful assistant."), HumanMessage([{"type": "text", "text": sample(name)[0]}, picture])]

    def test_picture_after_text(self):
        name = "shapes-where.png"
        forms = [
            {"type": "image_url", "image_url": {"url": data_url(name)}},
            {"type": "image", "base64": encoded(name), "mime_type": "image/png"},
        ]
        for picture in forms:
            self.assertEqual(self.model.invoke(self.asked(name, picture)).content, sample(name)[1])

    def test_stream(self):
        name = "shapes-two.jpg"
        chunks = list(self.model.stream(self.asked(name, {"type": "image_url", "image_url": {"url": data_url(name)}})))
        self.assertEqual("".join(chunk.content for chunk in chunks), sample(name)[1])
        self.assertGreater(sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata), 10)

    def test_tools_and_the_way_back(self):
        messages = [HumanMessage("Paint!")]
        answer = self.model.bind_tools([paint], tool_choice="any", parallel_tool_calls=False).invoke(messages)
        self.assertEqual(len(answer.tool_calls), 1)
        result = paint.invoke(answer.tool_calls[0])
        self.assertIsInstance(result, ToolMessage)
        self.assertIn(result.content, ("The wall is red.", "The wall is green."))
        after = self.model.bind_tools([paint], tool_choice="none").invoke(messages + [answer, result])
        self.assertEqual(after.tool_calls, [])

    def test_responses(self):
        name = "shapes-where.png"
        model = ChatOpenAI(base_url=served().url + "/v1", api_key=KEY, model="model", temperature=0, use_responses_api=True, max_retries=0)
        messages = self.asked(name, {"type": "image", "base64": encoded(name), "mime_type": "image/png"})
        answer = model.invoke(messages)
        self.assertEqual(answer.text, sample(name)[1])
        self.assertEqual("".join(chunk.text for chunk in model.stream(messages)), sample(name)[1])
        again = model.invoke(messages + [answer, HumanMessage("Hello!")])
        self.assertGreater(again.usage_metadata["input_tokens"], answer.usage_metadata["input_tokens"])
        called = model.bind_tools([paint], tool_choice="paint").invoke("Paint!")
        self.assertIn(called.tool_calls[0]["args"]["color"], ("red", "green"))
        after = model.bind_tools([paint], tool_choice="none").invoke([HumanMessage("Paint!"), called, paint.invoke(called.tool_calls[0])])
        self.assertEqual(after.tool_calls, [])
        self.assertIsInstance(model.with_structured_output(Count).invoke("How many shapes are there?"), Count)

    def test_structured_output(self):
        for method in ("json_schema", "function_calling", "json_mode"):
            model = self.model.with_structured_output(Count, method=method, include_raw=True)
            answer = model.invoke("How many shapes are there? Answer in JSON.")
            if method == "json_mode":
                # Any JSON object is one; which, the model decides.
                self.assertEqual(answer["raw"].content[:1], "{")
            else:
                self.assertIsInstance(answer["parsed"], Count, answer)


if __name__ == "__main__":
    unittest.main()
