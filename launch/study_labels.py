"""Which faults of reference labels are noticed? `python launch/study_labels.py --data=DATA --output=OUT.json`.

DATA is a built short-axis data set. The labels of its `train` and `val` patients are spoiled on purpose; the
integrity check (`launch/build_data.py --check`) and the rules of quality control have to notice. A table goes to
stdout and beside OUT.json. About a minute on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.studies.labels import markdown, study_labels

DATA = flags.DEFINE_string("data", None, "Folder of launch/build_data.py.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "File to write, .json.", required=True)


def main() -> None:
    """Run the study and print its table."""
    use_compilation_cache()
    print(markdown(study_labels(Path(DATA.value), Path(OUTPUT.value))), end="")


if __name__ == "__main__":
    run_main(main)
