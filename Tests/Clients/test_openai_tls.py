"""OpenAI's Python client over TLS."""

import ssl
import unittest

import httpx
import openai
from serving import KEY, asked, sample, served_by_tls


class TLS(unittest.TestCase):
    def client(self, **options):
        return openai.OpenAI(base_url=served_by_tls()[0].url + "/v1", api_key=KEY, max_retries=0, http_client=httpx.Client(**options))

    def trusting(self):
        return self.client(verify=ssl.create_default_context(cafile=served_by_tls()[1]))

    def create(self, client, **fields):
        return client.chat.completions.create(model="model", messages=asked("shapes-two.jpg"), temperature=0, **fields)

    def test_answer(self):
        self.assertEqual(self.create(self.trusting()).choices[0].message.content, sample("shapes-two.jpg")[1])

    def test_stream(self):
        pieces = [chunk.choices[0].delta.content or "" for chunk in self.create(self.trusting(), stream=True) if chunk.choices]
        self.assertEqual("".join(pieces), sample("shapes-two.jpg")[1])

    def test_error(self):
        with self.assertRaises(openai.NotFoundError):
            self.trusting().models.retrieve("another")

    def test_an_unknown_certificate_is_refused_by_the_client(self):
        with self.assertRaises(openai.APIConnectionError):
            self.create(self.client())


if __name__ == "__main__":
    unittest.main()
