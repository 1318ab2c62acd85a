#!/usr/bin/env bash
# From nothing to tracked video: sets everything up, renders a small data set, trains a tiny CL-MOT on it WITHOUT identity
# labels, tests it on held-out sequences, tracks a clip, and shows what the training taught. About ten minutes on two cores
# after the installation. An interrupted demo goes on where it stopped.
#
#   bash tools/demo.sh
#   CONFIG=qdtrack_tiny_demo bash tools/demo.sh                  QDTrack, with identities
#   CONFIG=qdtrack_within-frame_tiny_demo bash tools/demo.sh     QDTrack, without
#   CONFIG=qdtrack_mask-rcnn_tiny_demo bash tools/demo.sh        QDTrack with identities and masks
#
# Environment: CONFIG (default clmot_tiny_demo), SEED (default 0), OUT (default demo_out)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/install.sh
SEED=${SEED:-0}
OUT=${OUT:-demo_out}
bin="$(cd "${VENV:-.venv}/bin" && pwd)"
CONFIG=${CONFIG:-clmot_tiny_demo}
config=$CONFIG.py
run="$OUT/$CONFIG-seed$SEED"
clip="$OUT/data/test/DEMO-test-01/img1"
started=$SECONDS
export PYTHONWARNINGS="ignore:pkg_resources is deprecated as an API:UserWarning" # mim's, at every command
step() { printf '\n[demo] %s  (%d s so far)\n' "$*" $((SECONDS - started)); }

step "1/5  rendering the data: training pictures have boxes but no identities"
"$bin/python" tools/make_demo_data.py --out "$OUT/data" --seed "$SEED" --speed 0.5 --train-sequences 36 --train-frames 10

options=("train_dataloader.dataset.data_root=$OUT/data/" "val_dataloader.dataset.data_root=$OUT/data/"
  "test_dataloader.dataset.data_root=$OUT/data/" "val_evaluator.ann_file=$OUT/data/annotations/test.json"
  "test_evaluator.ann_file=$OUT/data/annotations/test.json" "randomness.seed=$SEED")
# Trained weights are used again only if nothing that shaped them has changed.
recipe="$run/recipe.txt"
wanted=$(cat configs/demo/*tiny_demo.py configs/_base_/datasets/demo*.py configs/_base_/models/qdtrack*_tiny.py "$OUT/data/demo_data.json" | cksum)
if [ ! -f "$run/final.pth" ] || [ "$(cat "$recipe" 2>/dev/null)" != "$wanted" ]; then
  [ "$(cat "$recipe" 2>/dev/null)" = "$wanted" ] || rm -rf "$run"
  mkdir -p "$run"
  echo "$wanted" >"$recipe"
  step "2/5  training from scratch: mim train clmot_qd $config"
  "$bin/mim" train clmot_qd "$config" --work-dir "$run" --resume --cfg-options "${options[@]}"
  cp "$run/$(basename "$(cat "$run/last_checkpoint")")" "$run/final.pth.new"
  mv "$run/final.pth.new" "$run/final.pth"
else
  step "2/5  trained already: $run/final.pth"
fi

step "3/5  testing on held-out sequences: mim test clmot_qd $config"
"$bin/mim" test clmot_qd "$config" --checkpoint "$run/final.pth" --work-dir "$run" --out-dir "$OUT/results" \
  --cfg-options "${options[@]}"

step "4/5  tracking a held-out clip: mim run clmot_qd track_video"
"$bin/mim" run clmot_qd track_video "$clip" --config "$config" --checkpoint "$run/final.pth" --out-dir "$OUT/tracked"

step "5/5  what the training taught: the same detections with the trained embeddings, with random ones, with motion only"
"$bin/mim" run clmot_qd compare_embeddings "$config" "$run/final.pth" --out "$OUT/comparison.json" \
  --cfg-options "${options[@]}"

step "done. Look at"
printf '  %s\n' "$OUT/tracked/tracks.mp4" "$OUT/tracked/contact_sheet.png" "$OUT"/tracked/tracks*.txt "$OUT/comparison.json"
