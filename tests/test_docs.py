"""Documentation keeps up: links lead somewhere, commands exist, every setting is listed with its default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from semiqc_jax.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, default) of every setting."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def config_rows() -> dict[str, str]:
    """Setting -> default, from the table of the reference."""
    text = (ROOT / "docs/reference/config.md").read_text(encoding="utf-8")
    rows = {}
    for names, defaults in re.findall(r"^\| (`.+?) \| (.*?) ?\|", text, re.MULTILINE):
        values = [v.strip("` ") for v in defaults.split(",")]
        rows |= dict(zip(re.findall(r"`([^`]+)`", names), values))
    return rows


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("https://")]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_commands_exist(page: Path) -> None:
    named = set(re.findall(r"\b(?:launch|configs)/[a-z_]+\.(?:py|sh)\b", page.read_text(encoding="utf-8")))
    assert sorted(n for n in named if not (ROOT / n).is_file()) == []


def test_every_setting_is_listed_with_its_default() -> None:
    rows = config_rows()
    assert rows == {name: str(value) for name, value in settings(Settings().to_dict())}
