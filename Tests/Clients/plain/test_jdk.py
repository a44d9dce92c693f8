"""The HttpClient of the JDK, which offers HTTP/2 to every server."""

import json
import pathlib
import shutil
import subprocess
import unittest

from serving import KEY, asked, served


def has_jdk():
    return shutil.which("java") is not None and subprocess.run(["java", "--list-modules"], capture_output=True, text=True).stdout.count("jdk.compiler") > 0


@unittest.skipUnless(has_jdk(), "there is no JDK")
class JDK(unittest.TestCase):
    def test_answer_and_stream(self):
        body = json.dumps({"model": "model", "temperature": 0, "messages": asked("text-word.png")})
        source = pathlib.Path(__file__).with_name("Ask.java")
        done = subprocess.run(
            ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", source, served().url, KEY], input=body, capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        whole, streamed = done.stdout.splitlines()
        self.assertEqual(json.loads(whole)["choices"][0]["message"]["content"], "ORDER")
        self.assertEqual(streamed, "data: [DONE]")


if __name__ == "__main__":
    unittest.main()
