#!/usr/bin/env bash
# Sets everything up on a fresh machine and runs the checks: lint, types, tests. Arguments go to pytest.
#
#   bash tools/test.sh                 the default suite
#   bash tools/test.sh -m slow         the tests left out of it
#   bash tools/test.sh tests/trackers  a part of it, without lint and types
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/install.sh
bin="$(cd "${VENV:-.venv}/bin" && pwd)"

if [ $# -eq 0 ]; then
  "$bin/ruff" check .
  "$bin/ruff" format --check .
  "$bin/mypy"
  set -- -m "not slow and not gpu"
fi
# One process per core, one thread each: small tensors gain nothing from threads and lose much by waiting for them.
OMP_NUM_THREADS=1 exec "$bin/python" -m pytest -n "$(nproc 2>/dev/null || echo 2)" --dist worksteal "$@"
