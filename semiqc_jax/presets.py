"""What all configurations share: METHOD[,PRESET] -> step and selector."""

from __future__ import annotations

from ml_collections import ConfigDict

from semiqc_jax.errors import ConfigError
from semiqc_jax.settings import Settings, parse_method


def base_config(argument: str, presets: tuple[str, ...]) -> ConfigDict:
    """Default settings with the method's step and selector.

    Args:
        argument: "METHOD" or "METHOD,PRESET".
        presets: what PRESET may be.

    Raises:
        ConfigError: no such method or preset.
    """
    method, _, preset = (argument or "semiqcseg").partition(",")
    if preset not in ("", *presets):
        known = ", ".join(presets) or "none here"
        raise ConfigError(f"unknown preset '{preset}'", "config", f"presets: {known}")
    config = ConfigDict(Settings().to_dict())
    config.method, config.preset = method, preset
    config.step, config.selector = parse_method(method)
    return config
