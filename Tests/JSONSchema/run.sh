#!/usr/bin/env bash
# usage: TESTS="swift test …" run.sh
#
# Holds guided answers against the public JSON-Schema-Test-Suite, which comes with the source of Python's jsonschema, and its random
# texts against that validator. Both lie in .build/json-schema; where the package index cannot be reached the target is skipped.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
made=$root/.build/json-schema
. "$root/Tests/Clients/environment.sh"

if ! environment "$here" "$made/python"; then
  echo "test-json-schema: skipped, the package index cannot be reached"
  exit 0
fi
if ! cmp -s "$here/suite.txt" "$made/suite.txt"; then
  rm -rf "$made/source" "$made/suite"
  "$made/python/bin/pip" download -q --disable-pip-version-check --no-deps --no-binary jsonschema --require-hashes -r "$here/suite.txt" -d "$made/source"
  mkdir -p "$made/suite"
  tar xzf "$made"/source/jsonschema-*.tar.gz -C "$made/suite" --strip-components 1
  cp "$here/suite.txt" "$made/suite.txt"
fi
rm -f "$made/texts.jsonl"
VLM_JSON_SCHEMA_SUITE=$made/suite/json/tests/draft2020-12 VLM_JSON_SCHEMA_TEXTS=$made/texts.jsonl \
  ${TESTS:-swift test -c release --disable-testable-imports} --filter '\.SchemaSuiteTests/'
"$made/python/bin/python" "$here/check.py" "$made/texts.jsonl"
