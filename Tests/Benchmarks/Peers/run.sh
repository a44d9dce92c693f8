#!/usr/bin/env bash
# usage: run.sh
#
# Measures vlm-serve beside llama.cpp's server, in turns, on the shapes of Qwen2-VL-2B and of one with Qwen2-0.5B's decoder and a small encoder, with
# random weights, and writes docs/performance.md.
# Everything is kept in .build/peers: llama.cpp's sources (from a Python package) and programs, models and artifacts, about 8 GB.
# ROUNDS (5), THREADS (2), PYTHON (python3; needs numpy, and venv). Leave the machine alone meanwhile.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
made=$root/.build/peers
bin=${VLM_BIN:-$root/.build/release}
python=${PYTHON:-python3}
rounds=${ROUNDS:-5}
threads=${THREADS:-2}
version=0.3.36
sources=$made/llama_cpp_python-$version/vendor/llama.cpp
mkdir -p "$made"

for tool in cmake ninja; do command -v $tool >/dev/null || { echo "bench-peers: $tool is needed (Debian: cmake, ninja-build)" >&2; exit 1; }; done
if [ ! -d "$sources" ]; then
  echo "bench-peers: fetching llama.cpp"
  "$python" -m pip download -q --disable-pip-version-check --no-deps --no-binary llama-cpp-python -d "$made" llama-cpp-python==$version
  tar xzf "$made/llama_cpp_python-$version.tar.gz" -C "$made"
fi
if [ ! -x "$made/llama/bin/llama-server" ]; then
  echo "bench-peers: building llama.cpp, which takes a while"
  cmake -S "$sources" -B "$made/llama" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF \
    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF -DCMAKE_CXX_FLAGS="-include $here/tiles_of_gcc.h" >"$made/llama.log" 2>&1
  ninja -C "$made/llama" llama-server >>"$made/llama.log" 2>&1 || { tail "$made/llama.log" >&2; exit 1; }
fi

model= servers=() ready=() first=()
trap 'for server in "${servers[@]}"; do kill "$server" 2>/dev/null || true; done' EXIT
since() { awk "BEGIN { printf \"%.2f\", $EPOCHREALTIME - $1 }"; }
serve() {  # NAME PORT COMMAND...
  local name=$1 port=$2
  shift 2
  local begin=$EPOCHREALTIME
  "$@" >"$made/$name.log" 2>&1 &
  servers+=($!)
  for _ in $(seq 3000); do
    if curl -sf "http://127.0.0.1:$port/health" >/dev/null; then
      ready+=("$(since "$begin")")
      curl -sf "http://127.0.0.1:$port/v1/completions" -H 'content-type: application/json' -d "{\"model\": \"$model\", \"prompt\": \"What is on the table?\", \"max_tokens\": 1, \"temperature\": 0}" >/dev/null
      first+=("$(since "$begin")")
      return
    fi
    kill -0 "${servers[-1]}" 2>/dev/null || break
    sleep 0.02
  done
  echo "bench-peers: $name did not start" >&2
  tail "$made/$name.log" >&2
  exit 1
}
anonymous() { awk '/^Anonymous:/ { printf "%.0f", $2 / 1024 }' "/proc/$1/smaps_rollup"; }
row() { echo "| $1 | $2 | $3 | $(awk "BEGIN { printf \"%.1f\", $3 / $2 }") |"; }
measure() {  # MODEL: its table, and what vlmc bench says of it
  model=$1 servers=() ready=() first=()
  [ -f "$made/$model.gguf/vision.gguf" ] || "$python" "$here/make_gguf.py" "$sources" "$made/$model.gguf" "$model" >&2
  [ -d "$made/$model" ] || "$python" "$root/Tests/Oracle/real_sizes.py" "$model" "$made/$model" >&2
  local artifact
  artifact=$("$bin/vlmc" compile "$made/$model" --decode-gears 1,2,4,8,16 --store "$made/store")
  find "$made/$model.gguf/" "$made/store" -type f -exec cat {} + >/dev/null
  serve vlm-serve 8491 "$bin/vlm-serve" "$artifact" --port 8491 --threads "$threads" --store "$made/store"
  serve llama.cpp 8492 "$made/llama/bin/llama-server" -m "$made/$model.gguf/text.gguf" --mmproj "$made/$model.gguf/vision.gguf" --host 127.0.0.1 \
    --port 8492 -t "$threads" -tb "$threads" -np 16 -c 24576 --no-webui
  "$python" "$here/bench_peers.py" "$rounds" vlm-serve=8491 llama.cpp=8492
  row "exec to ready, files in the page cache, s" "${ready[@]}"
  row "exec to the first token of a short text, s" "${first[@]}"
  row "memory beyond mapped files, after the run, MiB" "$(anonymous "${servers[0]}")" "$(anonymous "${servers[1]}")"
  for server in "${servers[@]}"; do kill "$server"; wait "$server" 2>/dev/null || true; done
  servers=()
  echo
  echo '`vlmc bench` on the same artifact, right after:'
  echo
  echo '```'
  "$bin/vlmc" bench "$artifact" --store "$made/store" --threads "$threads"
  echo '```'
}

{
  cat "$here/performance.md"
  echo
  echo "Measured on $(date -u +%F), $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1) (family $(sed -n 's/^cpu family.*: //p' /proc/cpuinfo | head -1)" \
    "model $(sed -n 's/^model\t.*: //p' /proc/cpuinfo | head -1)), $threads threads, $rounds rounds; median [least … most]. vlm-serve $(git -C "$root" describe --always --dirty)," \
    "llama.cpp of llama-cpp-python $version."
} >"$made/page.md"
for each in qwen2-vl-2b-awq qwen2-vl-0.5b-awq; do
  measure "$each" >"$made/$each.md"
  { echo; echo "## $each"; echo; cat "$made/$each.md"; } >>"$made/page.md"
done
cp "$made/page.md" "$root/docs/performance.md"
echo "bench-peers: wrote docs/performance.md"
