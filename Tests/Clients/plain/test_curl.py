"""curl: the README's own lines, HTTP/2 where it is asked for, and what a browser's page sends."""

import json
import re
import subprocess
import unittest

from serving import KEY, ROOT, asked, served, served_by_tls


def curl(*arguments, **options):
    return subprocess.run(
        ["curl", "-sS", "--max-time", "60", "-H", f"Authorization: Bearer {KEY}", *arguments], capture_output=True, text=True, **options)


def chat(*arguments):
    body = json.dumps({"model": "model", "temperature": 0, "messages": asked("text-word.png")})
    return curl(
        served().url + "/v1/chat/completions", "-H", "Content-Type: application/json", "-d", "@-", "-w", "\n%{http_code} %{http_version}",
        *arguments, input=body)


class Curl(unittest.TestCase):
    def test_lines_of_the_readme(self):
        blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
        api = [block for block in blocks if block.startswith("curl ")]
        self.assertGreaterEqual(len(api), 3)
        for block in api:
            lines = re.sub(r"(http://)?(127\.0\.0\.1|localhost):8000", served().url, block)
            lines = re.sub(r"^curl -s ", f"curl -sS -H 'Authorization: Bearer {KEY}' -w '\\\\n' ", lines, flags=re.M)
            done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, cwd=ROOT, timeout=120)
            self.assertEqual((done.returncode, done.stderr), (0, ""), block)
            answers = [json.loads(line) for line in done.stdout.splitlines() if line]
            self.assertTrue(answers and not any(answer.get("error") for answer in answers), done.stdout)

    def test_an_upgrade_to_http2_is_declined(self):
        answer = chat("--http2")
        body, status = answer.stdout.rsplit("\n", 1)
        self.assertEqual(status, "200 1.1", answer)
        self.assertEqual(json.loads(body)["choices"][0]["message"]["content"], "ORDER")

    def test_http2_without_asking_is_refused_at_once(self):
        answer = chat("--http2-prior-knowledge", "--max-time", "10")
        self.assertNotIn(answer.returncode, (0, 28), answer)
        self.assertEqual(chat("--http1.1").returncode, 0)

    def test_tls_agrees_to_http1(self):
        secure, certificate = served_by_tls()
        self.assertTrue(secure.url.startswith("https://"), secure.url)
        asks = [secure.url + "/v1/models", "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"]
        self.assertEqual(curl("--cacert", certificate, *asks).stdout, "200 1.1")
        self.assertEqual(curl(*asks).returncode, 60)
        self.assertEqual(curl("--cacert", certificate, "--tls-max", "1.2", *asks).stdout, "200 1.1")
        self.assertNotEqual(curl(secure.url.replace("https:", "http:") + "/v1/models").returncode, 0)

    def test_stream(self):
        body = json.dumps({"model": "model", "temperature": 0, "stream": True, "messages": asked("text-word.png")})
        answer = curl("-N", served().url + "/v1/chat/completions", "-d", "@-", input=body)
        self.assertTrue(answer.stdout.endswith("data: [DONE]\n\n"), answer)

    def test_a_page_of_another_origin(self):
        asks = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST", "-H", "Access-Control-Request-Headers: authorization,content-type"]
        page = ["-H", "Origin: https://page.example"]
        preflight = curl("-i", served().url + "/v1/chat/completions", *asks, *page).stdout.lower()
        self.assertIn(" 204 ", preflight.splitlines()[0])
        self.assertIn("access-control-allow-origin: https://page.example", preflight)
        self.assertIn("access-control-allow-headers: authorization,content-type", preflight)
        self.assertIn("200 1.1", chat(*page).stdout)
        self.assertIn("403 1.1", chat("-H", "Origin: https://other.example").stdout)


if __name__ == "__main__":
    unittest.main()
