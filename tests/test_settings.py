"""Settings: every wrong value is named at once, with what to write instead."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

from semiqc_jax.errors import EXIT_USAGE, ConfigError
from semiqc_jax.presets import base_config
from semiqc_jax.selection import SELECTORS
from semiqc_jax.settings import (
    METHODS,
    STAGE0_FREE,
    Settings,
    load_settings,
    parse_method,
    stage0_identity,
    with_defaults,
)


def refusal(**changes):
    """The message that a configuration with these changes is refused with."""
    with pytest.raises(ConfigError) as caught:
        load_settings(changes)
    assert caught.value.exit_code == EXIT_USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_are_valid_and_survive_json():
    assert load_settings({}) == Settings()
    assert load_settings(json.loads(json.dumps(Settings().to_dict()))) == Settings()
    assert load_settings(ConfigDict(Settings().to_dict())) == Settings()


def test_all_wrong_values_are_reported_at_once():
    message = refusal(
        sed=1,
        mapping="shard_mapp",
        fraction=2.0,
        updates="many",
        model={"name": "u-net", "depht": 3, "norm": 7},
        grid=64,
        flip_average=1,
    )
    for part in (
        "9 wrong settings",
        "config.sed does not exist (did you mean 'seed'?)",
        "config.mapping = 'shard_mapp' (did you mean 'shard_map'? one of shard_map, pmap)",
        "config.fraction = 2.0 is outside 1e-06 to 1",
        "config.updates = 'many' is no int",
        "config.model.name = 'u-net' (did you mean 'unet'?",
        "config.model.depht does not exist (did you mean 'depth'?)",
        "config.grid = 64 is no group of settings",
        "config.flip_average = 1 is no bool",
    ):
        assert part in message, part


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"learning_rate": float("nan")}, "learning_rate = nan is outside"),
        ({"learning_rate": -1}, "learning_rate = -1.0 is outside"),
        ({"seed": True}, "seed = True is no int"),
        ({"seed": 1.5}, "seed = 1.5 is no int"),
        ({"seed": 2**31}, "is outside 0 to 2147483647"),
        ({"labelled": 0}, "labelled = 0 is outside"),
        ({"model": {"depth": 6}}, "model.depth = 6 is outside 2 to 5"),
        ({"grid": {"size": 100}}, "grid.size = 100 is no multiple of 16 (model.depth = 5)"),
        ({"model": {"window": 4}}, "model.window = 4 has no frame in the middle: give an odd number"),
        ({"model": {"window": 0}}, "model.window = 0 is outside"),
        ({"model": {"name": "unet_lstm"}}, "model.name = unet_lstm sees a window of frames"),
        ({"labelled_draw": "publishd"}, "labelled_draw = 'publishd' is neither"),
        ({"labelled_draw": "-3"}, "labelled_draw = '-3' is neither"),
        ({"labelled_draw": "²"}, "labelled_draw = '²' is neither"),
        ({"policy": "budget"}, "budget = 0 keeps nobody"),
        ({"selector": "qualtiy"}, "did you mean 'quality'?"),
        ({"pseudo_fraction": 0.0}, "pseudo_fraction = 0.0 of batch_size = 16 is 0: a round needs labelled and"),
        ({"pseudo_fraction": 1.0}, "of batch_size = 16 is 16"),
        ({"batch_size": 1}, "pseudo_fraction = 0.5 of batch_size = 1 is 0"),
        ({"quality": {"rules_off": "lv_eff, lv_ef"}}, "quality.rules_off = 'lv_eff, lv_ef': no rule lv_eff (rules are"),
        ({"quality": {"rules_off": "lv_ef", "name": "learned"}}, "rules_off says nothing to quality.name = learned"),
    ],
)
def test_one_wrong_value(changes, part):
    message = refusal(**changes)
    assert "1 wrong setting:" in message
    assert part in message


def test_two_settings_that_do_not_fit_are_both_reported():
    message = refusal(grid={"size": 100}, policy="budget")
    assert "2 wrong settings" in message


@pytest.mark.parametrize("free", [{"rounds": 0}, {"selector": "none"}])
def test_without_pseudo_labels_any_batch_will_do(free):
    assert load_settings({"batch_size": 1, **free}).batch_size == 1


def test_rules_that_are_switched_off():
    assert load_settings({}).quality.off == ()
    off = load_settings({"quality": {"rules_off": "lv_ef, rv_ef,lv_mass"}}).quality.off
    assert off == ("lv_ef", "rv_ef", "lv_mass")


def test_an_older_configuration_is_completed():
    older = Settings(seed=7).to_dict()
    del older["quality"]["rules_off"], older["weight_decay"], older["model"]["window"]
    older["quality"]["target_dice"] = 0.7
    settings = load_settings(with_defaults(older))
    assert (settings.seed, settings.weight_decay) == (7, Settings().weight_decay)
    assert settings.model.window == 1
    assert (settings.quality.target_dice, settings.quality.rules_off) == (0.7, "")


def test_numbers_are_taken_as_they_are_meant():
    settings = load_settings({"fraction": 1, "labelled_draw": 7, "grid": {"size": 100}, "model": {"depth": 3}})
    assert settings.fraction == 1.0
    assert isinstance(settings.fraction, float)
    assert settings.labelled_draw == "7"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("supervised", ("supervised", "none")),
        ("self_training", ("supervised", "all")),
        ("random", ("supervised", "random")),
        ("confidence", ("supervised", "confidence")),
        ("semiqcseg", ("supervised", "quality")),
        ("oracle", ("supervised", "oracle")),
        ("supervised+oracle", ("supervised", "oracle")),
    ],
)
def test_methods_of_the_contract(method, expected):
    assert parse_method(method) == expected
    assert (method in METHODS) == ("+" not in method)


@pytest.mark.parametrize("method", ["semiqcsge", "supervised+", "+quality", "supervised+best", "quality", ""])
def test_an_unknown_method(method):
    with pytest.raises(ConfigError, match="unknown method") as caught:
        parse_method(method)
    assert ("did you mean 'semiqcseg'?" in str(caught.value)) == (method == "semiqcsge")


def test_a_selector_that_is_changed_later_changes_the_method():
    config = base_config("semiqcseg,cpu", ("cpu",))
    assert (config.method, config.preset, config.step, config.selector) == (
        *("semiqcseg", "cpu"),
        *("supervised", "quality"),
    )
    assert load_settings(config).method == "semiqcseg"
    config.selector = "random"
    assert load_settings(config).method == "supervised+random"


def test_presets():
    assert base_config("", ()).method == "semiqcseg"
    with pytest.raises(ConfigError, match=r"unknown preset 'gpu'.*presets: cpu"):
        base_config("oracle,gpu", ("cpu",))
    with pytest.raises(ConfigError, match="none here"):
        base_config("oracle,gpu", ())


TOUCHES_STAGE0 = {
    "seed": 2,
    "labelled": 7,
    "labelled_draw": "3",
    "dataset": "acdc",
    "augmentation": "none",
    "batch_size": 8,
    "updates": 10,
    "learning_rate": 1.0,
    "weight_decay": 1.0,
    "model": {"norm": "group"},
    "grid": {"pixel_mm": 2.0},
}
LEAVES_STAGE0 = {
    "method": "oracle",
    "selector": "oracle",
    "policy": "threshold",
    "fraction": 0.1,
    "threshold": 0.1,
    "quality": {"name": "learned"},
    "pseudo_fraction": 0.1,
    "rounds": 9,
    "round_updates": 9,
    "round_learning_rate": 1.0,
    "stage0_from": "elsewhere",
    "data_dir": "elsewhere",
    "checkpoint_every": 9,
    "cross_fit": True,
}


@pytest.mark.parametrize("name", [*TOUCHES_STAGE0, *LEAVES_STAGE0])
def test_what_stage_0_depends_on(name):
    value = {**TOUCHES_STAGE0, **LEAVES_STAGE0}[name]
    changed = stage0_identity(load_settings({name: value}).to_dict())
    assert (changed != stage0_identity(Settings().to_dict())) == (name in TOUCHES_STAGE0)


def test_every_free_setting_exists():
    assert {field.name for field in dataclasses.fields(Settings)} >= STAGE0_FREE


@given(
    updates=st.integers(1, 50), rounds=st.integers(0, 5), more=st.integers(1, 50), selector=st.sampled_from(SELECTORS)
)
def test_stages_follow_one_another(updates, rounds, more, selector):
    """`none` spends the same updates as every other selector, on labelled examples alone."""
    settings = load_settings(
        {"updates": updates, "rounds": rounds, "round_updates": more, "selector": selector, "batch_size": 10}
    )
    assert [settings.stage_end(stage) for stage in range(rounds + 1)] == list(
        range(updates, settings.total_updates + 1, more)
    )[: rounds + 1]
    assert settings.stage_end(rounds) == settings.total_updates
    assert settings.pseudo_batch == (0 if selector == "none" else 5)
