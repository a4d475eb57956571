#!/bin/sh
# palmd's page in a real browser (check.py): tests/page/run.sh PALMD [--pictures]. Where no Chromium can be
# installed, says so and passes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if ! "$here/../../scripts/setup.sh" --quiet --page; then
    echo "page: SKIPPED the page's tests, for the reason above" >&2
    exit 0
fi
python3 -m venv "$here/.cache/python"
"$here/.cache/python/bin/pip" install -q -r "$here/requirements.txt"
exec "$here/.cache/python/bin/python" "$here/check.py" "$@"
