"""ACDC short-axis segmentation with few labelled patients.

    python launch/build_data.py --dataset=acdc --source=ACDC --out=data/acdc --format=pack
    python launch/train.py --config=configs/acdc.py:semiqcseg,cpu --workdir=runs/acdc/semiqcseg \
        --config.data_dir=data/acdc --config.labelled=3
    python launch/evaluate.py --run=runs/acdc/semiqcseg --split=test

The preset `cpu` is sized for two cores. Expected scores: docs/results/acdc.md.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from semiqc_jax.presets import base_config


def get_config(argument: str = "semiqcseg") -> ConfigDict:
    """METHOD[,cpu]: settings of a run."""
    config = base_config(argument, ("cpu",))
    config.dataset = "acdc"
    config.model.base, config.model.depth = 16, 5
    config.grid.size, config.grid.pixel_mm = 128, 1.75
    config.batch_size, config.updates = 24, 6000
    config.rounds, config.round_updates = 4, 2000
    if config.preset == "cpu":
        config.model.depth, config.model.dropout = 4, 0.0
        config.grid.size, config.grid.pixel_mm = 96, 2.0
        config.batch_size, config.updates = 12, 1200
        config.rounds, config.round_updates = 2, 300
    return config
