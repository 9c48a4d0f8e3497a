#!/bin/sh
# Train a GPT: install what is missing, build the trainer for this machine, find it something to read, and start it.
#   examples/run.sh                        characters of Tiny Shakespeare, a few minutes on two cores
#   examples/run.sh --data FOLDER ...      every option goes to train_gpt; --help lists them
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/release
say() { printf '%s\n' "$*" >&2; }

# Run a command quietly; show what it said only if it failed.
quietly() {
  log=$(mktemp)
  "$@" >"$log" 2>&1 || { cat "$log" >&2 && rm -f "$log" && exit 1; }
  rm -f "$log"
}

# Prints where the text to learn from is: $TRICYCLE_DATA, or Tiny Shakespeare in the cache (downloaded once), or, where
# there is no network, the library's own source.
find_data() {
  cache=${XDG_CACHE_HOME:-${HOME:-$root/build}/.cache}/tricycle/tinyshakespeare.txt
  if [ -n "${TRICYCLE_DATA:-}" ]; then
    if [ -f "$TRICYCLE_DATA/tinyshakespeare.txt" ]; then echo "$TRICYCLE_DATA/tinyshakespeare.txt"; else echo "$TRICYCLE_DATA"; fi
  elif cmake -D URL=https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt \
      -D SHA256=86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed -D "TO=$cache" -P "$root/cmake/download.cmake" >/dev/null 2>&1; then
    echo "$cache"
  else
    say "Tiny Shakespeare is neither here nor to be downloaded: training on the library's own source instead"
    echo "$root/include"
  fi
}

sh "$root/cmake/install_dependencies.sh" compiler cmake ninja eigen certificates >&2
if [ ! -f "$build/build.ninja" ]; then
  say "building the trainer for this machine, which takes a minute or so"
  (cd "$root" && quietly cmake --preset release)
fi
quietly cmake --build "$build" --target train_gpt

needs_data=yes
for option in "$@"; do
  case $option in
    --data | --data=* | --resume | --resume=* | --help) needs_data=no ;;
  esac
done
if [ $needs_data = yes ]; then
  data=$(find_data)
  set -- --data "$data" "$@"
fi
exec "$build/examples/train_gpt" "$@"
