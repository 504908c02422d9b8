"""What holds for a source as a whole: counts, warnings by kind, doubles, and subjects in two splits."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from semiqc_jax.datasets.integrity.facts import Facts
from semiqc_jax.datasets.splits import Member, Splits
from semiqc_jax.errors import UserError

NUMBER = re.compile(r"(?<![A-Za-z])[-+]?\d[\d.,]*%?")


@dataclass(frozen=True)
class Summary:
    """The head of the report."""

    counts: Mapping[str, int]
    kinds: Sequence[tuple[str, int, str]]  # a warning with its numbers left out, subjects that have it, one of them
    reasons: Sequence[tuple[str, int, str]]  # the same of what subjects are left out for
    doubles: Sequence[tuple[str, ...]]  # subjects with the same image
    problems: Sequence[str]  # what stops a build or spoils a comparison, a sentence each
    split_of: Mapping[str, str]


def summarise(facts: Sequence[Facts], split_rule: Callable[[Sequence[Member]], Splits]) -> Summary:
    """Look at all subjects together; `split_rule` says how they would be split."""
    usable = [one for one in facts if one.refused is None]
    rows = [one.row for one in usable if one.row is not None]
    split_of, problems = _splits([one.member for one in usable if one.member], split_rule)
    doubles = _doubles(usable)
    for ids in doubles:
        homes = {split_of[i] for i in ids if i in split_of}
        if len(homes) > 1:
            problems.append(f"the same image is in {' and '.join(sorted(homes))}: {', '.join(ids)}")
    times = Counter(one.subject_id for one in facts)
    problems += [f"subject {name} is there {n} times" for name, n in times.items() if n > 1]
    counts = {
        "subjects found": len(facts),
        "usable": len(usable),
        "left out": len(facts) - len(usable),
        "with warnings": sum(bool(one.warnings) for one in usable),
        "frames": sum(row["frames"] for row in rows),
        "slices": sum(row["frames"] * row["slices"] for row in rows),
        "with labels": sum("label_codes" in row for row in rows),
        "with uneven slices": sum(row["even_slices"] is False for row in rows),
        "ED or ES unlike the labels": sum(row.get("phases_agree") is False for row in rows),
        "same image twice": len(doubles),
        **{f"in {name}": n for name, n in Counter(split_of.values()).items()},
    }
    warned = ((text, one.subject_id) for one in usable for text in one.warnings)
    refused = ((one.refused.what, one.subject_id) for one in facts if one.refused)
    return Summary(counts, kinds(warned), kinds(refused), doubles, problems, split_of)


def kinds(found: Iterable[tuple[str, str]]) -> list[tuple[str, int, str]]:
    """Texts of subjects (text, subject), those that differ in their numbers only as one, commonest first.

    Returns:
        (text, number of subjects, one of them).
    """
    who: dict[str, list[str]] = defaultdict(list)
    for text, subject in found:
        who[NUMBER.sub("…", text)].append(subject)
    order = sorted(who.items(), key=lambda entry: (-len(set(entry[1])), entry[0]))
    return [(text, len(set(subjects)), subjects[0]) for text, subjects in order]


def _doubles(usable: Sequence[Facts]) -> list[tuple[str, ...]]:
    by_digest: dict[str, list[str]] = defaultdict(list)
    for one in usable:
        by_digest[one.digest].append(one.subject_id)
    return [tuple(ids) for ids in by_digest.values() if len(ids) > 1]


def _splits(
    members: Sequence[Member], split_rule: Callable[[Sequence[Member]], Splits]
) -> tuple[dict[str, str], list[str]]:
    """The split of each subject, and what is wrong with the splits."""
    if not members:
        return {}, []
    try:
        splits = split_rule(members)
    except UserError as error:
        return {}, [str(error)]
    homes: dict[str, list[str]] = defaultdict(list)
    for name, ids in splits.items():
        for subject in ids:
            homes[subject].append(name)
    torn = [f"subject {subject} is in {' and '.join(names)}" for subject, names in homes.items() if len(names) > 1]
    known = {member.subject_id for member in members}
    return {subject: names[0] for subject, names in homes.items() if subject in known}, torn
