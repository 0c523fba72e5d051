#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the commands of the CI snippet in docs/conformance.md, exactly as they stand there, as a new
# user's job would: a fresh Python environment, an empty HOME, a folder with a core, its port map and
# the wheel, none of it in this checkout. The example core plays the user's.
#
#   sim/ci_snippet.sh [PYTHON]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${1:-$root/.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/home" "$work/repo"

sed -n '/^## In your CI/,/^## C/s/^ *- run: *//p' "$root/docs/conformance.md" >"$work/commands"
if [ "$(wc -l <"$work/commands")" -lt 2 ]; then
  echo "docs/conformance.md: expected the commands of a snippet under 'In your CI'" >&2
  exit 2
fi

"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/repo" "$root"
"$python" -m venv "$work/python"
cp "$root"/examples/conform/acme/*.v "$work/repo"
cp "$root/examples/conform/acme/acme.toml" "$work/repo/my-core.toml"

cd "$work/repo"
while read -r command; do
  echo "+ $command"
  started=$SECONDS
  env -i HOME="$work/home" PATH="$work/python/bin:/usr/local/bin:/usr/bin:/bin" \
    bash -ec "$command" </dev/null
  echo "  $((SECONDS - started)) s"
done <"$work/commands"

for file in report.html verdict.json junit.xml badge.svg; do
  if [ ! -s "conform/$file" ]; then
    echo "the snippet left no conform/$file" >&2
    exit 1
  fi
done
echo "the snippet works as written: $SECONDS s"
