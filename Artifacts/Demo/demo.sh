#!/usr/bin/env bash
# usage: demo.sh [BIN]
#
# Compiles the demo model with the programs in BIN (.build/release unless given), serves it on a free loopback port, asks
# about the sample images over the OpenAI API, and shows the artifact. Exit code 0 when every answer is the expected one.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=${1:-$here/../../.build/release}

die() { printf 'demo: %s\n' "$1" >&2; exit 1; }

for program in curl jq base64; do command -v "$program" >/dev/null || die "$program is needed; make deps installs it"; done
for program in vlmc vlm-serve vlm-cache; do [ -x "$bin/$program" ] || die "$bin/$program is not there; run make build"; done

bold='' dim='' green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

scratch=$(mktemp -d)
server=''

# Asks the server to end and waits for it; its exit code.
stop() {
  local code=0
  [ -n "$server" ] || return 0
  kill "$server" 2>/dev/null || true
  wait "$server" || code=$?
  server=''
  return "$code"
}
trap 'stop || true; rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Why the server is not there, with the last that it said.
server_failed() {
  cat "$scratch/server.log" >&2
  die "vlm-serve $1"
}

heading() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

# Starts the server and sets url once it can answer.
serve() {
  : >"$scratch/server.log"
  "$bin/vlm-serve" "$1" --host 127.0.0.1 --port 0 --disable-log-requests 2>"$scratch/server.log" &
  server=$!
  url=''
  for _ in $(seq 1200); do
    kill -0 "$server" 2>/dev/null || server_failed 'ended before it was ready'
    if [ -z "$url" ]; then url=$(sed -n '/listening on http:/{s/^.*listening on //p;q}' "$scratch/server.log"); fi
    if [ -n "$url" ] && curl -fs -o /dev/null "$url/health"; then return; fi
    sleep 0.05
  done
  server_failed 'was not ready within a minute'
}

# The chat request for a question and its images, as JSON: request QUESTION QUESTION-FIRST IMAGE...
request() {
  local question=$1 first=$2 image kind
  shift 2
  : >"$scratch/parts"
  for image in "$@"; do
    case $image in *.png) kind=png ;; *) kind=jpeg ;; esac
    base64 -w 0 "$here/samples/$image" >"$scratch/base64"
    jq -n --rawfile data "$scratch/base64" --arg kind "$kind" \
      '{type: "image_url", image_url: {url: "data:image/\($kind);base64,\($data)"}}' >>"$scratch/parts"
  done
  jq -s --arg model "$model" --arg question "$question" --argjson first "$first" '[{type: "text", text: $question}] as $asked | {
    model: $model, temperature: 0, max_tokens: 128, stream: true, stream_options: {include_usage: true},
    messages: [{role: "user", content: (if $first then $asked + . else . + $asked end)}]}' "$scratch/parts"
}

# What the server has measured of the requests that ended: their number and their seconds from first to last token.
decoded() {
  curl -fsS "$url/metrics" | sed -n 's/^vllm:request_decode_time_seconds_\(count\|sum\){.*} /\1 /p' |
    jq -R -s -c 'split("\n") | map(select(. != "") | split(" ") | {(.[0]): (.[1] | tonumber)}) | add'
}

# Posts standard input and prints {answer, tokens, rate, first, error}: each line of the stream is stamped on arrival, the
# last line carries curl's own times, so that starting the programs does not count. jq must be there before the first token.
# The rate is the server's: tokens after the first by the time that it measured from first to last token, since tokens that
# arrive together say nothing about the time between them.
ask() {
  local before after answered
  cat >"$scratch/request"
  before=$(decoded)
  answered=$(stream)
  for _ in $(seq 20); do
    after=$(decoded)
    if jq -e -n --argjson a "$after" --argjson b "$before" '$a.count > $b.count' >/dev/null; then break; fi
    sleep 0.05
  done
  jq -c --argjson a "$after" --argjson b "$before" '($a.sum - $b.sum) as $seconds
    | .rate = (if .tokens >= 8 and $a.count == $b.count + 1 and $seconds > 0
        then (.tokens - 1) / $seconds | round else null end)' <<<"$answered"
}

# Posts the request and prints {answer, tokens, first, error}.
stream() {
  {
    sleep 0.05
    curl -sSN -H 'Content-Type: application/json' --data-binary "@$scratch/request" \
      -w '\ncurl %{time_pretransfer} %{time_total}\n' "$url/v1/chat/completions"
  } | jq -R --unbuffered -c '[now, .]' | jq -s -c '
    (map(select(.[1] | startswith("curl "))) | last) as $done
    | ($done[1] | split(" ") | map(tonumber? // 0)) as $times
    | ($done[0] - $times[2] + $times[1]) as $start
    | map(select(.[1] | test("^(data: )?\\{")) | [.[0], (.[1] | ltrimstr("data: ") | fromjson)]) as $events
    | [$events[] | select((.[1].choices[0].delta.content // "") != "")] as $pieces
    | ([$events[][1].usage.completion_tokens // empty] | last) as $tokens
    | {
        answer: ([$pieces[][1].choices[0].delta.content] | add // ""), tokens: ($tokens // 0),
        first: (if ($pieces | length) > 0 then ($pieces[0][0] - $start) * 1000 | round else null end),
        error: ([$events[][1].error.message // empty] | first // "")
      }'
}

# Asks one sample and prints what came of it; counts right and wrong ones.
show() {
  local sample=$1 question first expected images shown result answer note
  question=$(jq -r .question <<<"$sample")
  first=$(jq .question_first <<<"$sample")
  expected=$(jq -r .answer <<<"$sample")
  mapfile -t images < <(jq -r '.images[]' <<<"$sample")
  result=$(request "$question" "$first" "${images[@]}" | ask) || server_failed "did not answer \"$question\""
  answer=$(jq -r .answer <<<"$result")
  note=$(jq -r '[
    "\(.tokens) token\(if .tokens == 1 then "" else "s" end)", (if .rate then "\(.rate) tokens/s" else empty end),
    (if .first then "first token after \(.first) ms" else empty end)] | join(", ")' <<<"$result")
  shown="$dim${images[*]:-no image}$plain"
  if [ "$first" = true ]; then shown="$shown${dim}, after the question$plain"; fi
  printf '\n%s\n  %s\n' "$shown" "$question"
  if [ "$answer" = "$expected" ]; then
    right=$((right + 1))
    printf '  %s✓%s %s%s%s\n' "$green" "$plain" "$bold" "$answer" "$plain"
  else
    wrong=$((wrong + 1))
    printf '  %s✗%s %s%s%s\n' "$red" "$plain" "$bold" "$answer" "$plain"
    printf '    expected: %s\n' "$expected"
    jq -r 'select(.error != "") | "    error: \(.error)"' <<<"$result"
  fi
  printf '    %s%s%s\n' "$dim" "$note" "$plain"
}

heading 'vlmc compile Artifacts/Demo/model'
artifact=$("$bin/vlmc" compile "$here/model")
printf '%s\n' "$artifact"

heading "vlm-serve $artifact"
serve "$artifact"
model=$(curl -fsS "$url/v1/models" | jq -r '.data[0].id')
printf 'serving %s at %s\n' "$model" "$url"

right=0 wrong=0
while IFS= read -r sample <&3; do show "$sample"; done 3< <(jq -c '.[]' "$here/samples/samples.json")
printf '\n%s%d of %d answers as expected%s\n' "$bold" "$right" "$((right + wrong))" "$plain"

heading "vlm-cache show $artifact"
"$bin/vlm-cache" show "$artifact"

stop || server_failed "ended with code $? when asked to stop"
[ "$right" -gt 0 ] && [ "$wrong" -eq 0 ] || die "$wrong of $((right + wrong)) answers are not the expected ones"
