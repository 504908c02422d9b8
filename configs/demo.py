"""The whole loop on a synthetic cohort, sized for two CPU cores; `bash launch/demo.sh` runs every method of it.

    python launch/build_data.py --dataset=phantom --source=subjects=60,frames=8,slices=7,size=72,labelled=ed_es,seed=1 \
        --out=data/demo --format=pack
    python launch/train.py --config=configs/demo.py:semiqcseg --workdir=runs/demo/semiqcseg \
        --config.data_dir=data/demo
    python launch/evaluate.py --run=runs/demo/semiqcseg --split=test

Time and scores: docs/results/demo.md.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from semiqc_jax.presets import base_config


def get_config(argument: str = "semiqcseg") -> ConfigDict:
    """METHOD[,quick]: settings of a run; `quick` only shows that every part works."""
    config = base_config(argument, ("quick",))
    config.dataset = "phantom"
    config.model.base, config.model.depth, config.model.dropout = 8, 4, 0.0
    config.grid.size, config.grid.pixel_mm = 64, 2.8
    config.batch_size, config.updates = 12, 700
    config.rounds, config.round_updates = 3, 150
    config.labelled = 3
    config.quality.target_dice = 0.8
    config.flip_average = False
    if config.preset == "quick":
        config.updates, config.rounds, config.round_updates = 60, 1, 30
    return config
