"""Train: python launch/train.py --config=configs/acdc.py:METHOD[,PRESET] --workdir=RUN --config.data_dir=DATA."""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main
from ml_collections import config_flags

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.errors import ConfigError
from semiqc_jax.rounds.judging import judge_for
from semiqc_jax.rounds.loop import run
from semiqc_jax.settings import load_settings

CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration file with METHOD[,PRESET].", lock_config=False)
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of this run.", required=True)


def main() -> None:
    """Run the loop of one configuration, from the start or from where it stopped."""
    if CONFIG.value is None:
        raise ConfigError("no configuration", "--config", "give --config=configs/acdc.py:METHOD[,PRESET]")
    settings = load_settings(CONFIG.value.to_dict())
    if not settings.data_dir:
        raise ConfigError("no data", "--config.data_dir", "name a folder made by launch/build_data.py")
    use_compilation_cache()
    cohort = open_cohort(settings.data_dir)
    folder = Path(WORKDIR.value)
    run(settings, cohort, folder, lambda: judge_for(settings, cohort, folder))
    print(f"{folder}: complete; next: python launch/evaluate.py --run={folder} --split=test")


if __name__ == "__main__":
    run_main(main)
