#!/usr/bin/env bash
# Makes .venv in the repository root with the checked set of versions and clmot_qd itself (editable).
# Idempotent: a second run finds its stamp and ends in a second; an interrupted run is simply started again.
#
#   bash tools/install.sh
#
# Environment:
#   PYTHON                  the interpreter to use (default: python3.11, the one all this was checked on, else 3.12, 3.10)
#   VENV                    where the environment goes (default: .venv)
#   CLMOT_QD_CPU_ONLY=1     build mmcv without CUDA even though a GPU is here
#   MAX_JOBS                compiler processes (default: all cores, one per 2 GiB of memory at most)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=${VENV:-.venv}
MMCV_VERSION=2.1.0

say() { printf '[install] %s\n' "$*"; }
die() { printf '[install] error: %s\n' "$*" >&2; exit 1; }

# ---- which interpreter (mmcv 2.1.0 cannot be built on 3.13: its setup.py relies on locals() as it was before) -------------------------------------------------------------------------------------------
python_is_fit() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3.10 python3}; do
    if command -v "$candidate" >/dev/null && python_is_fit "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

# ---- what the stamp stands for: this script, the pinned set, the package metadata and version, interpreter and place ----
fingerprint() {
  { cat tools/install.sh tools/requirements.txt pyproject.toml clmot_qd/__init__.py; echo "$1 $PWD ${CLMOT_QD_CPU_ONLY:-0}"; } | cksum
}

check_compiler() {
  command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null ||
    die "no C++ compiler found (mmcv's operators are compiled here): install one, e.g. 'apt-get install g++', and run this again"
  "$1" - <<'PY' || die "the Python headers are missing: install them, e.g. 'apt-get install python3-dev', and run this again"
import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))
PY
}

# With a GPU here mmcv must be compiled with the CUDA release that torch was built for; a CPU-only build would look
# fine and then fail in the middle of a training run.
check_gpu() {
  CUDA_BUILD=0
  command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU || return 0
  if [ "${CLMOT_QD_CPU_ONLY:-0}" = 1 ]; then
    say "a GPU is here, but CLMOT_QD_CPU_ONLY=1: mmcv gets CPU operators only"
    return 0
  fi
  local want have
  want=$("$VENV/bin/python" -c 'import torch; print(torch.version.cuda or "")')
  [ -n "$want" ] || die "a GPU is here, but this torch is a CPU build: install the CUDA build of torch 2.13.0 into $VENV and run this again (or set CLMOT_QD_CPU_ONLY=1)"
  have=$( { "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" --version 2>/dev/null || nvcc --version 2>/dev/null; } |
    sed -n 's/.*release \([0-9.]*\).*/\1/p' || true)
  [ "${have%%.*}" = "${want%%.*}" ] || die "a GPU is here and torch was built for CUDA $want, but nvcc is '${have:-not installed}'. \
mmcv $MMCV_VERSION must be compiled with CUDA ${want%%.*}.x: install that CUDA toolkit, set CUDA_HOME to it and run this again. For CPU operators on purpose: CLMOT_QD_CPU_ONLY=1"
  CUDA_BUILD=1
}

# pip, quiet unless it fails; a line every 20 seconds so that nobody thinks it hangs.
pip_install() {
  local label=$1 log start pid
  shift
  log=$(mktemp)
  start=$SECONDS
  say "$label"
  set -m # a process group of its own, so that an interruption ends the compilers as well
  "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input -v "$@" >"$log" 2>&1 &
  pid=$!
  set +m
  trap 'kill -- "-$pid" 2>/dev/null || true' EXIT
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    (((SECONDS - start) % 20)) || say "  $((SECONDS - start)) s  $(progress_of "$log")"
  done
  trap - EXIT
  if ! wait "$pid"; then
    tail -n 30 "$log" >&2
    die "'$label' failed; the whole log is $log"
  fi
  rm -f "$log"
}

# ninja's own counter ("[17/63]") while something compiles, else what pip fetches.
progress_of() {
  local last
  last=$(grep -oE '^ *\[[0-9]+/[0-9]+\]' "$1" | tail -n 1 | tr -d ' ' || true)
  [ -n "$last" ] && { echo "$last files compiled"; return; }
  grep -oE '^(Collecting|Downloading|Building wheel for|Installing collected) [^ ]+' "$1" | tail -n 1 || true
}

build_mmcv() {
  local label=$1
  shift
  pip_install "$label" --no-build-isolation --no-binary mmcv --force-reinstall --no-deps "$@" "mmcv==$MMCV_VERSION"
}

# An interrupted 'venv', or one without ensurepip, leaves a python without pip behind; PYTHON may name another version.
venv_is_whole() {
  local version='import sys; print(sys.version_info[:2])'
  "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && [ "$("$VENV/bin/python" -c "$version")" = "$("$1" -c "$version")" ]
}

max_jobs() {
  local cores memory
  cores=$(nproc 2>/dev/null || echo 2)
  memory=$(awk '/MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo 2>/dev/null || echo 2)
  [ "${memory:-0}" -ge 1 ] || memory=1
  echo $((cores < memory ? cores : memory))
}

mmcv_is_there() {
  "$VENV/bin/python" -c 'import mmcv, mmcv.ops' >/dev/null 2>&1 || return 1
  [ "$CUDA_BUILD" = 0 ] || "$VENV/bin/python" -c 'from mmcv.ops import get_compiling_cuda_version as v; raise SystemExit(v() == "not available")'
}

main() {
  local python started=$SECONDS stamp
  python=$(find_python) ||
    die "needs Python 3.10 to 3.12, found $(python3 --version 2>/dev/null || echo none): install one or set PYTHON=/path/to/python3.11"
  stamp="$VENV/.clmot_qd_installed"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint "$python")" ]; then
    say "$VENV is up to date"
    return
  fi
  say "Python: $python ($("$python" --version)); environment: $VENV"
  check_compiler "$python"
  venv_is_whole "$python" || "$python" -m venv --clear "$VENV" ||
    die "cannot make a virtual environment: install the venv module, e.g. 'apt-get install python3-venv', and run this again"
  # openmim imports pkg_resources, which setuptools 81 dropped.
  pip_install "build tools" 'setuptools>=77.0.3,<81' wheel ninja
  pip_install "torch and the pinned set (tools/requirements.txt)" -r tools/requirements.txt
  "$VENV/bin/python" -c 'import cv2' 2>/dev/null ||
    die "OpenCV does not load, most likely for want of system libraries: install them, e.g. 'apt-get install libgl1 libglib2.0-0', and run this again"
  check_gpu
  if ! mmcv_is_there; then
    export MMCV_WITH_OPS=1 FORCE_CUDA=$CUDA_BUILD MAX_JOBS=${MAX_JOBS:-$(max_jobs)}
    build_mmcv "compiling mmcv $MMCV_VERSION with its operators on $MAX_JOBS cores: about 10 minutes on two, once"
    # pip may have taken a wheel from its cache that was built for another torch, or without CUDA.
    mmcv_is_there || build_mmcv "that build does not fit; compiling mmcv $MMCV_VERSION afresh" --no-cache-dir
    mmcv_is_there || die "mmcv was built, but 'import mmcv.ops' fails: run $VENV/bin/python -c 'import mmcv.ops' to see why"
  fi
  # The import hook of older editable installs would hide .mim from mim, so hatchling's plain .pth file is used.
  pip_install "clmot_qd (editable)" --no-deps -e .
  "$VENV/bin/python" -c 'import clmot_qd' || die "clmot_qd was installed but does not import"
  fingerprint "$python" >"$stamp.new" && mv "$stamp.new" "$stamp"
  say "done in $((SECONDS - started)) s"
}

# Sourced by the tests, which call single functions.
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
