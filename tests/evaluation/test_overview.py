"""The page over several comparisons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_compare_runs import HEADER, add_run

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.evaluation.cases import Case
from semiqc_jax.evaluation.compare import compare_runs
from semiqc_jax.evaluation.evaluate import write_evaluation
from semiqc_jax.evaluation.overview import Part, write_overview


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory, case_of: Callable[..., Case]) -> tuple[Path, Part]:
    folder = tmp_path_factory.mktemp("overview")
    write_evaluation(folder / "measured" / "fair", [case_of(f"p{i}", i) for i in range(3)], HEADER, SHORT_AXIS)
    (folder / "runs").mkdir()
    for method in ("supervised", "oracle"):
        add_run(folder / "runs", folder / "measured", method, "fair")
    found = compare_runs(folder / "runs", folder / "runs" / "comparison")
    pages = [("<more>", folder / "runs" / "comparison" / "report.html")]
    return folder, Part("Hearts & more", "About.", found, [folder / "runs/comparison/dice_by_method.png"], pages)


def test_each_part_has_its_table_pictures_and_links(part: tuple[Path, Part]) -> None:
    folder, one = part
    write_overview(folder / "report.html", "Two", [one, one])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<h2>Hearts &amp; more</h2>") == 2
    assert page.count('<a href="runs/comparison/report.html">&lt;more&gt;</a>') == 2
    assert page.count("data:image/png;base64,") == 2
    assert page.count("<td>oracle</td>") == 2


def test_a_page_elsewhere_cannot_be_linked(part: tuple[Path, Part]) -> None:
    folder, one = part
    with pytest.raises(ValueError, match="subpath"):
        write_overview(folder / "deeper" / "report.html", "Two", [one])
