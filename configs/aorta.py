"""Aortic cine segmentation (ascending and descending aorta) with few labelled subjects.

    python launch/build_data.py --dataset=phantom --task=aorta --source=subjects=60 --out=data/aorta
    python launch/train.py --config=configs/aorta.py:semiqcseg,cpu --workdir=runs/aorta/semiqcseg \
        --config.data_dir=data/aorta
    python launch/evaluate.py --run=runs/aorta/semiqcseg --split=test

Real cines: `--dataset=ukbb_nifti`, `dicom`, ... with `--task=aorta`. The recurrent network of the UK Biobank pipeline
(Bai 2018): `--config.model.name=unet_lstm --config.model.window=9`. The preset `cpu` is sized for two cores; it is what
the demo runs. Time and scores on synthetic aortas: docs/results/demo.md.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from semiqc_jax.presets import base_config


def get_config(argument: str = "semiqcseg") -> ConfigDict:
    """METHOD[,cpu|quick]: settings of a run; `quick` only shows that every part works."""
    config = base_config(argument, ("cpu", "quick"))
    config.dataset = "aorta"
    config.model.base, config.model.depth = 16, 5
    config.grid.size, config.grid.pixel_mm = 128, 1.6
    config.batch_size, config.updates = 24, 6000
    config.rounds, config.round_updates = 4, 2000
    config.quality.target_dice = 0.9
    if config.preset:
        config.model.base, config.model.depth, config.model.dropout = 8, 4, 0.0
        config.grid.size, config.grid.pixel_mm = 64, 2.4
        config.batch_size, config.updates = 12, 300
        config.rounds, config.round_updates = 2, 100
        config.flip_average = False
    if config.preset == "quick":
        config.updates, config.rounds, config.round_updates = 40, 1, 20
    return config
