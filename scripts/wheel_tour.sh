#!/usr/bin/env bash
# Build the wheel twice, check that both are identical, install it into a clean environment and run the tour.
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
cd "$work" # away from the source
LANTERNA_HOME="$work/home" clean/bin/lanterna tour
