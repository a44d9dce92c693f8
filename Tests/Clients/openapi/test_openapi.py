"""/openapi.json is a valid document, and the running server answers as it says.

Schemathesis makes requests of the document, right ones and wrong ones, and compares the answers with it: their status, type and
schema, that no request is an error of the server, that wrong values are refused, and that other methods are.
"""

import functools
import json
import pathlib
import subprocess
import sys
import unittest
import urllib.request

from openapi_spec_validator import OpenAPIV31SpecValidator

from serving import KEY, Served

CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance", "negative_data_rejection",
    "unsupported_method",
]


@functools.cache
def served():
    """Answers are short where requests do not say how long they may be."""
    return Served("--override-generation-config", '{"max_new_tokens": 4}')


def document():
    return json.load(urllib.request.urlopen(served().url + "/openapi.json"))


def narrowed():
    """The document, asking for this model and for short answers, so that requests get as far as the model."""
    narrow = document()
    for schema in narrow["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if name == "model" and schema.get("additionalProperties") == {"type": "null"}:
                field["enum"] = ["model"]
            for number in field.get("anyOf", [field]):
                if name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
                    number.update({"maximum": 8} if number.get("type") == "integer" else {})
                if name in ("n", "best_of") and number.get("type") == "integer":
                    number["maximum"] = 2
    return narrow


class Document(unittest.TestCase):
    def test_is_valid(self):
        self.assertEqual([error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()], [])
        self.assertIn("/v1/chat/completions", document()["paths"])

    def test_the_server_answers_as_it_says(self):
        file = served().folder / "openapi.json"
        file.write_text(json.dumps(narrowed()))
        command = [
            pathlib.Path(sys.executable).with_name("schemathesis"), "run", file, "--url", served().url, "--header", f"Authorization: Bearer {KEY}",
            "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "7", "--generation-database", "none", "--no-color",
        ]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=served().folder)
        self.assertEqual(ran.returncode, 0, ran.stdout[-6000:] + ran.stderr[-2000:])


if __name__ == "__main__":
    unittest.main()
