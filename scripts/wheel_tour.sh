#!/usr/bin/env bash
# Builds the wheel twice (the same bytes), installs it into a clean environment and runs the tour with it.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
for turn in 1 2; do
  python3 -m pip wheel --quiet --no-deps --wheel-dir "$work/$turn" .
done
cmp "$work"/1/*.whl "$work"/2/*.whl
sha256sum "$work"/1/*.whl | cut -d' ' -f1
python3 -m venv "$work/clean"
"$work/clean/bin/pip" install --quiet --constraint constraints.txt "$work"/1/*.whl
cd "$work" # nothing of the source is beside it
LANTERNA_HOME="$work/home" clean/bin/lanterna tour
