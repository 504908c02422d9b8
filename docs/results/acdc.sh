#!/usr/bin/env bash
# The ACDC comparison of docs/results/acdc.md: ten arms, one label draw and one seed, the `cpu` preset.
#
#   bash docs/results/acdc.sh DATA RUNS        DATA from launch/build_data.py --dataset=acdc
#
# LABELLED, DRAW and SEED choose another setting, JOBS how many arms run at a time. Run again after a stop, it goes on.
set -euo pipefail
export data=$1 runs=$2
export python=${PYTHON:-python} labelled=${LABELLED:-3} draw=${DRAW:-published} seed=${SEED:-1}

arm() { # NAME METHOD [FLAGS]
  local name=$1 method=$2
  shift 2
  if [ ! -f "$runs/$name/evaluation/test/metrics.json" ]; then
    "$python" launch/train.py --config="configs/acdc.py:$method,cpu" --workdir="$runs/$name" \
      --config.data_dir="$data" --config.labelled="$labelled" --config.labelled_draw="$draw" \
      --config.seed="$seed" "$@"
    "$python" launch/evaluate.py --run="$runs/$name" --split=test
  fi
}
export -f arm

side_by_side() { # one arm a line on stdin
  xargs -P "${JOBS:-2}" -I{} bash -euo pipefail -c 'arm {}'
}

fcn="--config.model.name=fcn --config.model.depth=5 --config.updates=800 --config.round_updates=200"
side_by_side <<END
supervised supervised
supervised_fcn supervised $fcn
supervised_none supervised --config.augmentation=none
supervised_standard supervised --config.augmentation=standard
END
side_by_side <<END
semiqcseg semiqcseg --config.stage0_from=$runs/supervised
self_training self_training --config.stage0_from=$runs/supervised
oracle oracle --config.stage0_from=$runs/supervised
random random --config.stage0_from=$runs/supervised
confidence confidence --config.stage0_from=$runs/supervised
semiqcseg_fcn semiqcseg $fcn --config.stage0_from=$runs/supervised_fcn
END
"$python" launch/compare.py --runs="$runs" --output="$runs/comparison"
