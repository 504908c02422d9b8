"""What classes and clinical indices of every task are called in tables, plots and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from semiqc_jax.anatomy import TASKS, Task

UNITS = {"ml": "ml", "mm2": "mm²", "pct": "%", "g": "g", "1e3_per_mmhg": "10⁻³/mmHg"}
QUANTITIES = {"ml": "volume", "mm2": "area"}  # what a task's curves are, by their unit


@dataclass(frozen=True)
class Index:
    """A clinical index: `MEASURE_UNIT` in files."""

    measure: str
    unit: str  # a key of `UNITS`
    words: str
    head: str = ""  # the column head of its error where runs are compared; "" where that is not shown
    digits: int = 1
    needs: str = ""  # what it is undefined without, beside the segmentation

    @property
    def name(self) -> str:
        """Its name in files: `lvef_pct`."""
        return f"{self.measure}_{self.unit}"

    @property
    def error_name(self) -> str:
        """The name of its mean absolute error: `lvef_mae_pct`."""
        return f"{self.measure}_mae_{self.unit}"

    @property
    def title(self) -> str:
        """Its name for people, with the unit."""
        return f"{self.words} ({UNITS[self.unit]})"

    @property
    def error_title(self) -> str:
        """Its error's name for people."""
        return f"{self.words} error ({UNITS[self.unit]})"


VENTRICLES = (
    Index("lvedv", "ml", "LV EDV", "EDV ml"),
    Index("lvesv", "ml", "LV ESV", "ESV ml"),
    Index("lvsv", "ml", "LV stroke volume"),
    Index("lvef", "pct", "LV ejection fraction", "EF %"),
    Index("lvm", "g", "LV mass"),
    Index("rvedv", "ml", "RV EDV", "RVEDV ml"),
    Index("rvesv", "ml", "RV ESV"),
    Index("rvsv", "ml", "RV stroke volume"),
    Index("rvef", "pct", "RV ejection fraction", "RVEF %"),
)
VESSELS = tuple(
    index
    for name, words, short in (("aao", "Ascending", "AAo"), ("dao", "Descending", "DAo"))
    for index in (
        Index(f"{name}_max", "mm2", f"{words} aorta, largest area", f"{short} max mm²"),
        Index(f"{name}_min", "mm2", f"{words} aorta, smallest area"),
        Index(f"{name}_strain", "pct", f"{words} aorta, strain", f"{short} strain %"),
        Index(
            f"{name}_distensibility",
            "1e3_per_mmhg",
            f"{words} aorta, distensibility",
            f"{short} dist.",
            digits=2,
            needs="the central pulse pressure (at least 10 mmHg), which an image does not hold",
        ),
    )
)
INDEX: Mapping[str, Index] = MappingProxyType({index.name: index for index in (*VENTRICLES, *VESSELS)})
CLASS_TITLES = {
    **{name: title for task in TASKS.values() for name, title in zip(task.classes, task.titles)},
    "mean": "mean",
}
CLASS_HEADS = {"lv": "LV", "myo": "Myo", "rv": "RV", "aao": "AAo", "dao": "DAo"}


def compared(task: Task) -> tuple[Index, ...]:
    """The indices of a task whose errors are shown where runs are compared."""
    return tuple(INDEX[name] for name in task.indices if INDEX[name].head)


def curve_title(task: Task) -> str:
    """What a task's curves are, with the unit: `volume (ml)` or `area (mm²)`."""
    return f"{QUANTITIES[task.curve]} ({UNITS[task.curve]})"


def phase_titles(task: Task) -> dict[str, str]:
    """What the phases of files (`all`, `ed`, `es`) are called for people."""
    return {"all": "all", **dict(zip(("ed", "es"), task.phase_titles))}


def gallery_words(task: Task) -> str:
    """What a gallery shows of each subject (`overlays.gallery_views`)."""
    first = task.phase_titles[0]
    return first if task.curve == "ml" else f"the cycle from the {first} on"


def undefined_note(missing: list[str]) -> str:
    """Why indices have no value, for those of the named that need more than a segmentation; "" where none does."""
    needs: dict[str, list[str]] = {}
    for index in (INDEX[name] for name in missing if INDEX[name].needs):
        needs.setdefault(index.needs, []).append(index.words)
    return " ".join(f"No value for {'; '.join(words)}: that needs {need}." for need, words in needs.items())
