"""Settings: a ConfigDict or plain mapping -> frozen dataclasses; all wrong values are reported at once."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from semiqc_jax.errors import ConfigError
from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.models.build import DTYPES, NETWORKS, NORMS
from semiqc_jax.parallel import MAPPINGS
from semiqc_jax.quality.calibration import Promise
from semiqc_jax.quality.limits import Limits, parse_limits
from semiqc_jax.quality.tasks import check_rules
from semiqc_jax.selection import POLICIES, SELECTORS, UNITS, Policy

STEPS = ("supervised",)
METHODS: Mapping[str, tuple[str, str]] = types.MappingProxyType(
    {
        "supervised": ("supervised", "none"),
        "self_training": ("supervised", "all"),
        "random": ("supervised", "random"),
        "confidence": ("supervised", "confidence"),
        "semiqcseg": ("supervised", "quality"),
        "oracle": ("supervised", "oracle"),
    }
)


def _one_of(default: str, choices: Any) -> Any:
    return field(default=default, metadata={"choices": tuple(choices)})


def _within(default: float, low: float, high: float = float("inf")) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class ModelSettings:
    """The network."""

    name: str = _one_of("unet", NETWORKS)
    base: int = _within(16, 1)  # filters of the first level
    depth: int = _within(5, 2, 5)  # levels
    norm: str = _one_of("batch", NORMS)
    dropout: float = _within(1.0, 0, 1.9)  # U-Net: scale of the published rates
    dtype: str = _one_of("float32", DTYPES)
    window: int = _within(1, 1, 99)  # frames that it sees: the one it segments and its neighbours in the cycle


@dataclass(frozen=True)
class GridSettings:
    """The network's grid: square pixels around the centre of each slice."""

    size: int = _within(128, 16)
    pixel_mm: float = _within(1.8, 0.2, 10)


@dataclass(frozen=True)
class QualitySettings:
    """Quality control."""

    name: str = _one_of("rules", ("rules", "learned", "both"))
    use_confidence: bool = True  # what the network says, confidence and flips, joins the downstream checks
    rules_off: str = ""  # names of rules that are switched off, separated by commas
    limits: str = ""  # other limits of rules: "stroke_volume_mismatch=-10:10,lv_ef=20:80"
    classifier: str = ""  # learned, both: a file of launch/train_quality.py; by default one is fitted to phantoms
    curves: str = ""  # a file of launch/train_curve_judge.py that judges LV curves beside it; "": none does
    slice_regressor: str = ""  # select_by frame or slice: a file of launch/study_slices.py; else rules on slices
    target_dice: float = _within(0.85, 0, 1)  # what a good segmentation is
    calibrate: str = _one_of("none", ("none", "val"))  # whose labels calibrate the verdicts
    precision: float = _within(0.95, 0.5, 0.999)  # share of the accepted that is to be good
    certainty: float = _within(0.95, 0.5, 0.999)  # with this confidence

    @property
    def off(self) -> tuple[str, ...]:
        """The rules that are switched off."""
        return tuple(self.rules_off.replace(",", " ").split())

    @property
    def rule_limits(self) -> Limits:
        """The limits that are not the default ones."""
        return parse_limits(self.limits)

    @property
    def promise(self) -> Promise:
        """What is to be shown before a verdict may be `accept`."""
        return Promise(self.precision, self.certainty)


@dataclass(frozen=True)
class Settings:
    """Everything that defines a run."""

    method: str = "semiqcseg"
    preset: str = ""
    dataset: str = ""
    data_dir: str = ""
    step: str = _one_of("supervised", STEPS)
    selector: str = _one_of("quality", SELECTORS)
    select_by: str = _one_of("subject", UNITS)  # what is chosen among; `quality` then judges frames or slices
    policy: str = _one_of("top_fraction", POLICIES)
    fraction: float = _within(0.5, 1e-6, 1)  # top_fraction: share of the pool's subjects, frames or slices that is kept
    threshold: float = _within(0.8, 0, 1)  # threshold: smallest score that is kept
    budget: int = _within(0, 0)  # budget: number of them that are kept
    by_group: bool = False  # the policy is applied within each disease group, so that no disease is rejected as one
    cross_fit: bool = False  # from round 2 on a network that learned from the other half segments each half of the pool
    labelled: int = _within(3, 1)
    labelled_draw: str = "published"  # or an integer: a seeded draw
    seed: int = _within(1, 0, 2**31 - 1)
    augmentation: str = _one_of("strong", AUGMENTATIONS)
    model: ModelSettings = field(default_factory=ModelSettings)
    grid: GridSettings = field(default_factory=GridSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    batch_size: int = _within(16, 1)
    pseudo_fraction: float = _within(0.5, 0, 1)  # share of a round's batch that is pseudo-labelled
    updates: int = _within(1200, 1)  # U0: updates of stage 0
    rounds: int = _within(2, 0)  # R
    round_updates: int = _within(600, 1)  # U1: updates of each round
    learning_rate: float = _within(2e-3, 0)
    round_learning_rate: float = _within(1e-3, 0)
    weight_decay: float = _within(1e-4, 0)
    flip_average: bool = True  # inference averages over mirrored slices
    inference_batch: int = _within(32, 1)
    mapping: str = _one_of("shard_map", MAPPINGS)
    devices: int = _within(0, 0)  # 0 = all
    resident_mb: int = _within(2048, 0)  # a stream larger than this is read by grain instead of kept on device
    checkpoint_every: int = _within(500, 1)
    log_every: int = _within(20, 1)
    stage0_from: str = ""  # a run whose stage 0 is the same: its checkpoint is taken over instead of retrained

    @property
    def pseudo_batch(self) -> int:
        """Pseudo-labelled examples in a round's batch; none for the selector `none`."""
        return 0 if self.selector == "none" else round(self.batch_size * self.pseudo_fraction)

    @property
    def total_updates(self) -> int:
        """Updates of all stages."""
        return self.updates + self.rounds * self.round_updates

    @property
    def selection_policy(self) -> Policy:
        """How scores become weights."""
        return Policy(self.policy, self.fraction, self.threshold, max(self.budget, 1))

    def stage_end(self, stage: int) -> int:
        """Updates done when a stage ends, counted from the start of the run."""
        return self.updates + stage * self.round_updates

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dictionary, the content of `config.json`."""
        return dataclasses.asdict(self)


STAGE0_FREE = {  # settings that do not touch stage 0
    *("method", "selector", "select_by", "policy", "fraction", "threshold", "budget", "by_group", "quality", "rounds"),
    *("pseudo_fraction", "round_updates", "round_learning_rate", "stage0_from", "checkpoint_every", "log_every"),
    *("inference_batch", "flip_average", "resident_mb", "data_dir", "preset", "cross_fit"),
}


def stage0_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that decides what stage 0 computes."""
    return {k: v for k, v in config.items() if k not in STAGE0_FREE}


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration, completed by the defaults of settings that came after it was written."""
    defaults = Settings().to_dict()
    groups = {k: {**v, **config.get(k, {})} for k, v in defaults.items() if isinstance(v, dict)}
    return {**defaults, **config, **groups}


def parse_method(method: str) -> tuple[str, str]:
    """(step, selector) of `METHOD` or `STEP+SELECTOR`.

    Raises:
        ConfigError: no such method.
    """
    if method in METHODS:
        return METHODS[method]
    step, _, selector = method.partition("+")
    if step in STEPS and selector in SELECTORS:
        return step, selector
    close = difflib.get_close_matches(method, METHODS, 1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise ConfigError(
        f"unknown method '{method}'", "config", f"{hint}one of {', '.join(METHODS)}, or STEP+SELECTOR"
    )


def load_settings(config: Mapping[str, Any]) -> Settings:
    """Check a configuration and freeze it.

    Where `step` or `selector` was changed after `method` had set them, `method` becomes STEP+SELECTOR.

    Raises:
        ConfigError: lists every unknown key and every wrong value, each with a suggestion.
    """
    problems: list[str] = []
    settings: Settings = _load(Settings, config, "config", problems)
    if not problems:
        problems += _joint_problems(settings)
    if problems:
        raise ConfigError(
            f"{len(problems)} wrong setting{'s' * (len(problems) > 1)}: " + "; ".join(problems),
            "config",
            "mend them and run again",
        )
    if parse_method(settings.method) != (settings.step, settings.selector):
        return dataclasses.replace(settings, method=f"{settings.step}+{settings.selector}")
    return settings


def _joint_problems(s: Settings) -> list[str]:
    divisor = 2 ** (s.model.depth - 1)
    problems = []
    if s.grid.size % divisor:
        problems.append(f"grid.size = {s.grid.size} is no multiple of {divisor} (model.depth = {s.model.depth})")
    if not s.model.window % 2:
        problems.append(f"model.window = {s.model.window} has no frame in the middle: give an odd number")
    if s.model.name == "unet_lstm" and s.model.window == 1:
        problems.append("model.name = unet_lstm sees a window of frames: give model.window, 9 as published")
    if s.labelled_draw != "published" and not s.labelled_draw.isdecimal():
        problems.append(f"labelled_draw = {s.labelled_draw!r} is neither 'published' nor an integer")
    if s.by_group and s.policy == "threshold":
        problems.append("by_group has no share to take of each group where policy = threshold: choose another policy")
    if s.policy == "budget" and s.budget < 1:
        problems.append("budget = 0 keeps nobody: give the number of subjects, frames or slices")
    if s.selector != "none" and s.rounds and not 0 < s.pseudo_batch < s.batch_size:
        what = f"pseudo_fraction = {s.pseudo_fraction} of batch_size = {s.batch_size}"
        problems.append(f"{what} is {s.pseudo_batch}: a round needs labelled and pseudo-labelled examples")
    if s.cross_fit and (s.selector == "none" or s.rounds < 2):
        problems.append("cross_fit is about who segments the pool from round 2 on: give a selector and rounds >= 2")
    if s.quality.slice_regressor and (s.select_by == "subject" or not s.quality.use_confidence):
        problems.append("quality.slice_regressor judges slices, by their softmax too: see select_by, use_confidence")
    if (s.quality.off or s.quality.limits) and s.quality.name == "learned":
        which = "rules_off" if s.quality.off else "limits"
        problems.append(f"quality.{which} says nothing to quality.name = {s.quality.name}")
    if s.quality.classifier and s.quality.name == "rules":
        problems.append("quality.classifier says nothing to quality.name = rules: give learned or both")
    try:
        check_rules(s.quality.off, s.quality.use_confidence, s.quality.rule_limits)
    except ConfigError as error:
        given = f"rules_off = {s.quality.rules_off!r}" + f", limits = {s.quality.limits!r}" * bool(s.quality.limits)
        problems.append(f"quality.{given}: {error.what} ({error.mend})")
    return problems


def _load(cls: type, config: Mapping[str, Any], path: str, problems: list[str]) -> Any:
    fields = {f.name: f for f in dataclasses.fields(cls)}
    types_ = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, value in config.items():
        if name not in fields:
            close = difflib.get_close_matches(name, fields, 1)
            problems.append(f"{path}.{name} does not exist" + (f" (did you mean '{close[0]}'?)" if close else ""))
        elif dataclasses.is_dataclass(types_[name]):
            if isinstance(value, Mapping) or hasattr(value, "items"):
                values[name] = _load(types_[name], dict(value.items()), f"{path}.{name}", problems)
            else:
                problems.append(f"{path}.{name} = {value!r} is no group of settings")
        else:
            values[name] = _check(f"{path}.{name}", value, types_[name], fields[name].metadata, problems)
    return cls(**values)


def _check(name: str, value: Any, kind: type, rule: Mapping[str, Any], problems: list[str]) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is str and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        problems.append(f"{name} = {value!r} is no {kind.__name__}")
    elif "choices" in rule and value not in rule["choices"]:
        close = difflib.get_close_matches(value, rule["choices"], 1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        problems.append(f"{name} = {value!r} ({hint}one of {', '.join(rule['choices'])})")
    elif "low" in rule and not rule["low"] <= value <= rule["high"]:
        problems.append(f"{name} = {value!r} is outside {rule['low']} to {rule['high']}")
    return value
