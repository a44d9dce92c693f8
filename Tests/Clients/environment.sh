# Virtual environments of exact packages; `python` is what makes them.

# Makes the environment of a folder's requirements.txt; 1 where the index cannot be reached.
environment() {
  local wanted=$1/requirements.txt made=$2
  if cmp -s "$wanted" "$made/requirements.txt"; then return 0; fi
  rm -rf "$made"
  "$python" -m venv "$made"
  if ! "$made/bin/pip" install -q --disable-pip-version-check --no-deps --no-compile --retries 3 -r "$wanted" 2>"$made/pip.log"; then
    if grep -qE 'from versions: none|connection broken|Temporary failure|timed out|Max retries|Connection(Error|Reset)|ProxyError|HTTP error 5' "$made/pip.log"; then return 1; fi
    cat "$made/pip.log" >&2
    exit 1
  fi
  cp "$wanted" "$made/requirements.txt"
}
