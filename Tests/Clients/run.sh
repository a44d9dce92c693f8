#!/usr/bin/env bash
# usage: run.sh
#
# Tries the programs in VLM_BIN (.build/release) with real clients. Those that are Python packages come, in exact versions, into
# virtual environments in .build/clients; where the package index cannot be reached they are skipped, by name.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore LITELLM_LOCAL_MODEL_COST_MAP=True

if ! "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "test-clients: skipped, $python is not Python 3.11 or newer with venv"
  exit 0
fi

. "$here/environment.sh"

# Runs a folder's tests with a Python.
try() {
  (cd "$1" && "$2" -m unittest -b $(ls test_*.py | sed 's/\.py$//'))
}

try "$here/plain" "$python"
for folder in "$here" "$here/openai2" "$here/openapi"; do
  made=$root/.build/clients/$(basename "$folder")
  if environment "$folder" "$made"; then
    try "$folder" "$made/bin/python"
  else
    echo "test-clients: skipped $(cd "$folder" && ls test_*.py | sed 's/^test_//; s/\.py$//' | tr '\n' ' ')- the package index cannot be reached"
  fi
done
