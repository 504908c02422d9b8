#!/usr/bin/env bash
# The networks, tables and studies of docs/results/quality.md: what networks of varying quality make of ACDC, and who notices.
#
#   bash docs/results/quality.sh ACDC OUT [SELECTION]     ACDC: the folder above training/patientXXX/
#
# SELECTION, the output of selection.sh, adds its supervised runs of draws 101 and 102.
#
# DRAWS and LABELS choose other networks. Run again after a stop, it goes on.
set -euo pipefail
acdc=$1 out=$2 selection=${3:-} python=${PYTHON:-python}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
small="--config.model.base=8 --config.grid.size=80 --config.grid.pixel_mm=2.2 --config.flip_average=False"

"$python" launch/build_data.py --dataset=acdc --source="$acdc" --out="$out/data" --format=pack \
  --splits="$here/acdc_networks_splits.json"
for draw in ${DRAWS:-201 202}; do
  for labelled in ${LABELS:-1 3 7 14}; do
    "$python" launch/train.py --config=configs/acdc.py:supervised,cpu --workdir="$out/runs/labelled${labelled}_draw$draw" \
      --config.data_dir="$out/data" --config.labelled="$labelled" --config.labelled_draw="$draw" --config.seed="$draw" \
      --config.updates=200 --config.rounds=2 --config.round_updates=400 $small
  done
done
for draw in ${DRAWS:-201 202}; do # twice the filters, more updates, flip averaging: segmentations that are good more often
  for labelled in ${MANY:-7 14}; do
    "$python" launch/train.py --config=configs/acdc.py:supervised,cpu \
      --workdir="$out/runs/labelled${labelled}_draw${draw}_wide" --config.data_dir="$out/data" \
      --config.labelled="$labelled" --config.labelled_draw="$draw" --config.seed="$draw" \
      --config.grid.size=80 --config.grid.pixel_mm=2.2 --config.updates=800 --config.rounds=2 --config.round_updates=800
  done
done
for draw in 101 102; do
  run="$selection/runs/draw$draw/supervised"
  [ -z "$selection" ] || ln -sfn "$(cd -- "$run" && pwd)" "$out/runs/labelled3_draw$draw"
done
"$python" launch/study_networks.py --runs="$out/runs" --data="$out/data" --output="$out/tables"
"$python" launch/study_calibration.py --tables="$out/tables" --output="$out/calibration.json"
"$python" launch/study_judges.py --tables="$out/tables" --output="$out/quality_acdc.json"
"$python" launch/study_slices.py --tables="$out/tables" --output="$out/slices"
