"""The architecture: who may import whom, and what no file may hold. Rules are checked on syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "semiqc_jax"
MAX_LINES, MAX_LAUNCHER_LINES = 300, 80

# Arrays in, arrays out: what these import is listed, and everything else is refused.
PURE = (
    *("models", "downstream", "quality", "selection"),
    *("training.losses", "training.methods", "segmentation.evidence"),
    *("segmentation.slice_statistics", "segmentation.assemble", "segmentation.mirrored"),
    *("inputs.grid", "inputs.augment", "inputs.slices"),
)
PURE_LOCAL = (*PURE, "anatomy", "errors")
PURE_EXTERNAL = {
    *(
        "__future__",
        "abc",
        "collections",
        "dataclasses",
        "enum",
        "functools",
        "itertools",
        "math",
        "operator",
    ),
    *("types", "typing", "chex", "flax", "jax", "jaxtyping", "numpy", "optax"),
}
PURE_EXTRA = {"quality": {"scipy", "sklearn"}, "quality.learned": {"io", "json"}}  # fits; arrays <-> bytes

# The bottom of the package: the local modules that each may import.
FOUNDATION: Mapping[str, tuple[str, ...]] = {
    "errors": (),
    "anatomy": ("errors",),
    "study": ("anatomy", "errors"),
}

FORBIDDEN = {"tensorflow", "pickle", "cloudpickle", "dill", "shelve"}
OUTSIDE_THE_PACKAGE = {"absl", "common", "launch", "configs", "tests"}  # flags, scripts
IMPURE_CALLS = {"open", "print", "input"}


def sources() -> dict[str, Path]:
    """Dotted name below the package -> file."""
    base = ROOT / PACKAGE
    files = {}
    for path in sorted(base.rglob("*.py")):
        parts = path.relative_to(base).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


SOURCES = sources()


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Dotted names of all that a file imports, anywhere in it; `package` is what `.` stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def split_imports(module: str, tree: ast.AST) -> tuple[set[str], set[str]]:
    """(local modules without the package's name, top names of everything else) that a module imports."""
    is_package = SOURCES.get(module, Path()).name == "__init__.py"
    full = f"{PACKAGE}.{module}".rstrip(".")
    names = set(imports(tree, full if is_package else full.rpartition(".")[0]))
    local = {n.removeprefix(PACKAGE).lstrip(".") for n in names if n.split(".")[0] == PACKAGE}
    # `from semiqc_jax.study import Study` names an attribute: the module is the longest part that is a file.
    return {n if n in SOURCES else n.rpartition(".")[0] for n in local}, {
        n.split(".")[0] for n in names if n.split(".")[0] != PACKAGE
    }


def within(module: str, *places: str) -> bool:
    """Whether `module` is one of `places` or lies below one."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


def violations(module: str, source: str) -> list[str]:
    """Everything in the source of one module of the package that the architecture forbids."""
    tree = ast.parse(source)
    local, external = split_imports(module, tree)
    found = [f"imports {n}" for n in sorted(external & FORBIDDEN)]
    found += [f"imports {n}, which only launch may" for n in sorted(external & OUTSIDE_THE_PACKAGE)]
    if "orbax" in external and module != "checkpoints":
        found.append("imports orbax, which only checkpoints may")
    if module in FOUNDATION:
        found += [f"imports {n}: the foundation" for n in sorted(local) if n not in FOUNDATION[module]]
    if within(module, *PURE):
        allowed = PURE_EXTERNAL.union(
            *(names for place, names in PURE_EXTRA.items() if within(module, place))
        )
        found += [f"imports {n}: not pure" for n in sorted(external - allowed)]
        found += [f"imports {n}: not pure" for n in sorted(local) if not within(n, *PURE_LOCAL)]
        found += [f"{what}: not pure" for what in impurities(tree)]
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    if any(keyword.arg == "allow_pickle" and not is_false(keyword.value) for keyword in keywords):
        found.append("reads pickles")
    return found + size_violations(source, MAX_LINES)


def impurities(tree: ast.AST) -> Iterator[str]:
    """Calls that reach outside and statements that make global state."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"calls {node.func.id}"
        elif isinstance(node, ast.Global):
            yield "sets a global"


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def size_violations(source: str, limit: int) -> list[str]:
    n_lines = len(source.splitlines())
    return [f"{n_lines} lines: the limit is {limit}"] if n_lines > limit else []


def chain(graph: Mapping[str, set[str]], start: str, target: str) -> list[str]:
    """The modules on a way of imports from `start` to `target` or below it; empty where there is none."""
    ways, seen = [[start]], {start}
    for way in ways:
        for nxt in sorted(graph.get(way[-1], set()) - seen):
            if within(nxt, target):
                return [*way, nxt]
            seen.add(nxt)
            ways.append([*way, nxt])
    return []


@pytest.mark.parametrize("module", SOURCES)
def test_module_keeps_the_rules(module: str) -> None:
    assert violations(module, SOURCES[module].read_text()) == []


@pytest.mark.parametrize("module", [m for m in SOURCES if within(m, "evaluation")])
def test_evaluation_never_reaches_training(module: str) -> None:
    graph = {name: split_imports(name, ast.parse(path.read_text()))[0] for name, path in SOURCES.items()}
    assert chain(graph, module, "training") == []


@pytest.mark.parametrize("folder", ["launch", "configs", "tests"])
def test_scripts_and_tests_keep_their_size(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        limit = MAX_LAUNCHER_LINES if folder == "launch" else MAX_LINES
        assert size_violations(path.read_text(), limit) == [], path
        external = split_imports("", ast.parse(path.read_text()))[1]
        assert not external & (FORBIDDEN - {"pickle"} if folder == "tests" else FORBIDDEN), path


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("anatomy", "from semiqc_jax.study import Study", "imports study: the foundation"),
        ("errors", "import semiqc_jax.anatomy", "imports anatomy: the foundation"),
        ("models.unet", "import os", "imports os: not pure"),
        ("downstream.curves", "def f():\n    from pathlib import Path", "imports pathlib: not pure"),
        ("quality.rules", "from semiqc_jax import study", "imports study: not pure"),
        ("quality.rules", "from ..datasets.cohort import Cohort", "imports datasets.cohort: not pure"),
        ("quality.rules", "import json", "imports json: not pure"),
        ("quality.learned", "from pathlib import Path", "imports pathlib: not pure"),
        ("selection", "import logging", "imports logging: not pure"),
        ("training.methods.supervised", "print(1)", "calls print: not pure"),
        ("training.losses", "def f():\n    global x", "sets a global: not pure"),
        ("settings", "from absl import flags", "imports absl, which only launch may"),
        ("settings", "from common import run_main", "imports common, which only launch may"),
        ("rounds.loop", "import orbax.checkpoint as ocp", "imports orbax, which only checkpoints may"),
        ("inputs.streams", "import tensorflow as tf", "imports tensorflow"),
        ("rounds.store", "import pickle", "imports pickle"),
        ("datasets.pack", "np.load(f, allow_pickle=True)", "reads pickles"),
        ("pipeline", "x = 1\n" * 301, "301 lines: the limit is 300"),
    ],
)
def test_a_breach_is_caught(module: str, source: str, complaint: str) -> None:
    assert violations(module, source) == [complaint]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("quality.learned", "import io, json\nfrom sklearn.svm import SVC"),
        ("checkpoints", "import orbax.checkpoint as ocp"),
        ("datasets.builder", "import tensorflow_datasets as tfds"),
        (
            "quality.rules",
            "from semiqc_jax.segmentation.evidence import Evidence\nfrom ..errors import UserError",
        ),
        ("study", "from semiqc_jax.anatomy import Task"),
        ("pipeline", "x = 1\n" * 300),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_a_way_through_other_modules_is_found() -> None:
    graph = {"evaluation.report": {"pipeline"}, "pipeline": {"study", "training.state"}, "study": set()}
    assert chain(graph, "evaluation.report", "training") == [
        "evaluation.report",
        "pipeline",
        "training.state",
    ]
    assert chain(graph, "study", "training") == []
    assert chain({"a": {"training_notes"}}, "a", "training") == []
