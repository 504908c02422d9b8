#!/usr/bin/env bash
# The arms of docs/results/selection.md: what choosing pseudo-labels is worth, on ACDC with 3 labelled patients.
#
#   bash docs/results/selection.sh ACDC OUT [TABLES]     ACDC: the folder above training/patientXXX/
#
# TABLES, the tables of quality.sh, teach the classifier of the arms `learned` and `both`; none of the 30 test patients is
# among its teachers, and no patient is judged by what it taught. DRAWS chooses the label draws. Run again after a stop, it
# goes on.
set -euo pipefail
acdc=$1 out=$2 tables=${3:-} python=${PYTHON:-python}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
small="--config.model.base=8 --config.grid.size=80 --config.grid.pixel_mm=2.2 --config.flip_average=False"
updates="--config.updates=800 --config.rounds=3 --config.round_updates=250"

"$python" launch/build_data.py --dataset=acdc --source="$acdc" --out="$out/data" --format=pack \
  --splits="$here/acdc_selection_splits.json"

classifier="$out/quality_network.npz"
if [ -n "$tables" ] && [ ! -f "$classifier" ]; then
  "$python" launch/train_quality.py --tables="$tables" --kind=network --exclude="$out/data/splits.json" \
    --output="$classifier"
fi

arm() { # DRAW NAME METHOD [FLAGS]
  local draw=$1 run="$out/runs/draw$1/$2" method=$3
  shift 3
  [ -f "$run/evaluation/test/metrics.json" ] && return
  "$python" launch/train.py --config="configs/acdc.py:$method,cpu" --workdir="$run" --config.data_dir="$out/data" \
    --config.labelled=3 --config.labelled_draw="$draw" --config.seed=1 $small $updates "$@"
  "$python" launch/evaluate.py --run="$run" --split=test
}

for draw in ${DRAWS:-101 102 103 104 105}; do
  stage0="--config.stage0_from=$out/runs/draw$draw/supervised"
  arm "$draw" supervised supervised
  for method in self_training random confidence semiqcseg oracle; do
    arm "$draw" "$method" "$method" "$stage0"
  done
  arm "$draw" rules semiqcseg "$stage0" --config.quality.use_confidence=False
  arm "$draw" cross_fit semiqcseg "$stage0" --config.cross_fit=True
  if [ -f "$classifier" ]; then
    arm "$draw" learned semiqcseg "$stage0" --config.quality.name=learned --config.quality.classifier="$classifier"
    arm "$draw" both semiqcseg "$stage0" --config.quality.name=both --config.quality.classifier="$classifier"
  fi
  for method in confidence semiqcseg oracle; do
    arm "$draw" "${method}_slice" "$method" "$stage0" --config.select_by=slice
  done
done
"$python" launch/compare.py --runs="$out/runs" --output="$out/comparison"
