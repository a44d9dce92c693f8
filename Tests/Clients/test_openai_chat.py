"""OpenAI's Python client: chats, completions, models."""

import typing
import unittest

import openai
import pydantic
from serving import KEY, SAMPLES, asked, sample, served, site


def client():
    return openai.OpenAI(base_url=served().url + "/v1", api_key=KEY, max_retries=0)


class Chat(unittest.TestCase):
    def setUp(self):
        self.client = client()

    def create(self, messages, **fields):
        return self.client.chat.completions.create(model="model", messages=messages, temperature=0, **fields)

    def test_answer(self):
        answer = self.create(asked("shapes-two.jpg"))
        choice = answer.choices[0]
        self.assertEqual((choice.message.role, choice.message.content), ("assistant", sample("shapes-two.jpg")[1]))
        self.assertEqual((choice.finish_reason, answer.model, answer.object), ("stop", "model", "chat.completion"))
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_several_pictures(self):
        answer = self.create(asked("pair-compared-1.jpg", "pair-compared-2.jpg"))
        self.assertEqual(answer.choices[0].message.content, sample("pair-compared-1.jpg")[1])

    def test_pictures_by_address(self):
        for url in (f"{site()}/shapes-two.jpg?size=full", f"file://{SAMPLES}/shapes-two.jpg"):
            for picture in ({"url": url}, {"url": url, "detail": "high"}):
                content = [{"type": "image_url", "image_url": picture}, {"type": "text", "text": sample("shapes-two.jpg")[0]}]
                answer = self.create([{"role": "user", "content": content}])
                self.assertEqual(answer.choices[0].message.content, sample("shapes-two.jpg")[1])

    def test_pictures_that_cannot_be_had(self):
        for url in (f"{site()}/none.jpg", "http://example.com/a.png", "file:///etc/passwd"):
            content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
            with self.assertRaises(openai.BadRequestError) as caught:
                self.create([{"role": "user", "content": content}])
            self.assertEqual(caught.exception.param, "messages[0].content[1]")

    def test_smaller_pictures(self):
        whole, small = (
            self.create(asked("shapes-two.jpg"), max_tokens=1, extra_body={"mm_processor_kwargs": bounds}).usage.prompt_tokens
            for bounds in ({}, {"max_pixels": 784 * 4}))
        self.assertLess(small, whole)

    def test_stream(self):
        chunks = list(self.create(asked("shapes-three.png"), stream=True, stream_options={"include_usage": True}))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertEqual(text, sample("shapes-three.png")[1])
        self.assertEqual(chunks[-2].choices[0].finish_reason, "stop")
        self.assertEqual(chunks[-1].choices, [])
        self.assertGreater(chunks[-1].usage.completion_tokens, 20)

    def test_stream_helper(self):
        with self.client.chat.completions.stream(model="model", messages=asked("text-word.png"), temperature=0) as stream:
            deltas = [event.delta for event in stream if event.type == "content.delta"]
            final = stream.get_final_completion()
        self.assertEqual("".join(deltas), "ORDER")
        self.assertEqual(final.choices[0].message.content, "ORDER")

    def test_several_answers(self):
        answer = self.client.chat.completions.create(
            model="model", messages=asked("shapes-two.jpg"), temperature=1.5, n=3, seed=7, max_completion_tokens=12)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1, 2])
        self.assertEqual(len({choice.message.content for choice in answer.choices}), 3)

    def test_logprobs(self):
        choice = self.create(asked("text-word.png"), logprobs=True, top_logprobs=3).choices[0]
        tokens = choice.logprobs.content
        shown = b"".join(bytes(token.bytes) for token in tokens)
        self.assertTrue(shown.startswith(b"ORDER"), shown)
        for token in tokens:
            self.assertEqual(len(token.top_logprobs), 3)
            self.assertEqual(token.top_logprobs[0].token, token.token)
            self.assertLessEqual(token.logprob, 0)

    def test_beam_search(self):
        beams = {"use_beam_search": True, "best_of": 4, "length_penalty": 0.5, "early_stopping": "never"}
        answer = self.create(asked("text-word.png"), n=2, max_tokens=20, extra_body=beams)
        texts = [choice.message.content for choice in answer.choices]
        self.assertEqual((texts[0], len(set(texts))), ("ORDER", 2))
        stream = self.create(asked("text-word.png"), n=2, max_tokens=20, stream=True, extra_body=beams)
        streamed = ["", ""]
        for chunk in stream:
            for choice in chunk.choices:
                streamed[choice.index] += choice.delta.content or ""
        self.assertEqual(streamed, texts)
        with self.assertRaises(openai.BadRequestError) as raised:
            self.client.chat.completions.create(model="model", messages=asked("text-word.png"), temperature=0.5, n=2, extra_body=beams)
        self.assertEqual(raised.exception.param, "temperature")

    def test_parse(self):
        class Shape(pydantic.BaseModel):
            shape: typing.Literal["diamond", "cross", "star"]
            color: str = pydantic.Field(max_length=20)

        class Shapes(pydantic.BaseModel):
            shapes: list[Shape] = pydantic.Field(max_length=2)

        answer = self.client.chat.completions.parse(
            model="model", messages=asked("shapes-json.png"), temperature=0, response_format=Shapes, max_tokens=400)
        self.assertIsInstance(answer.choices[0].message.parsed, Shapes)

    def test_json_object(self):
        answer = self.create(asked("shapes-count.png"), extra_body={"guided_regex": "[0-9]{1,2}"})
        self.assertEqual(answer.choices[0].message.content, "2")

    def test_errors_have_their_classes(self):
        with self.assertRaises(openai.NotFoundError) as raised:
            self.client.chat.completions.create(model="other", messages=asked("text-word.png"))
        self.assertEqual(raised.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError) as raised:
            self.create([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/y.png"}}]}])
        self.assertEqual(raised.exception.param, "messages[0].content[0]")
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=served().url + "/v1", api_key="wrong", max_retries=0).models.list()


class Others(unittest.TestCase):
    def test_models(self):
        models = client().models.list().data
        self.assertEqual([model.id for model in models], ["model"])
        self.assertEqual(client().models.retrieve("model").id, "model")

    def test_completions(self):
        answer = client().completions.create(model="model", prompt=["A large", "A small"], max_tokens=6, temperature=0, echo=True)
        self.assertEqual([choice.text[:7] for choice in answer.choices], ["A large", "A small"])
        chunks = list(client().completions.create(model="model", prompt="A large", max_tokens=6, temperature=0, stream=True))
        self.assertEqual("A large" + "".join(chunk.choices[0].text for chunk in chunks), answer.choices[0].text)
        likeliest = client().completions.create(model="model", prompt="A large", max_tokens=2, temperature=0, logprobs=2).choices[0].logprobs
        self.assertEqual((len(likeliest.tokens), len(likeliest.top_logprobs[0])), (2, 2))

    def test_prompts_are_scored(self):
        """As lm-evaluation-harness asks for the likelihood of a text, and how greedy it is."""
        text = client().completions.create(model="model", prompt="A large", max_tokens=6, temperature=0, echo=True).choices[0].text
        scores = [client().completions.create(model="model", prompt=text, max_tokens=most, temperature=0, logprobs=1, echo=True).choices[0]
                  for most in (0, 1)]
        for answer, ahead in zip(scores, (0, 1)):
            found = answer.logprobs
            self.assertEqual((answer.text[:len(text)], found.tokens[0], found.token_logprobs[0], found.top_logprobs[0]), (text, "A", None, None))
            self.assertEqual([found.token_logprobs[-6 - ahead + place] for place in range(6)],
                             [max(found.top_logprobs[-6 - ahead + place].values()) for place in range(6)])
        self.assertEqual(scores[0].logprobs.token_logprobs, scores[1].logprobs.token_logprobs[:-1])

    def test_asynchronous(self):
        import asyncio

        async def ask():
            async with openai.AsyncOpenAI(base_url=served().url + "/v1", api_key=KEY, max_retries=0) as many:
                asks = [
                    many.chat.completions.create(model="model", messages=asked(name), temperature=0)
                    for name in ("text-word.png", "shapes-count.png", "text-described.jpg") for _ in range(4)
                ]
                return [answer.choices[0].message.content for answer in await asyncio.gather(*asks)]

        expected = [sample(name)[1] for name in ("text-word.png", "shapes-count.png", "text-described.jpg") for _ in range(4)]
        self.assertEqual(asyncio.run(ask()), expected)


if __name__ == "__main__":
    unittest.main()
