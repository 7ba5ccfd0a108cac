"""The tables of `perf/converters.py`, in Markdown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converter_judge import Error, Judgement


@dataclass(frozen=True)
class Finding:
    """One converter on one model.

    Attributes:
        failure: Why there is no graph; empty where there is one.
        seconds: How long the conversion took.
        same_bytes: Whether a second process, with another order of its sets, wrote the same bytes.
        judgement: What was found out about the graph.
    """

    failure: str
    seconds: float
    same_bytes: bool = False
    judgement: Judgement | None = None


def real_table(found: Mapping[str, Finding], own: Error) -> str:
    """A real model: a row for every converter, and one for the module with every value rounded."""
    titles = ("converter", "valid", "casts", "MB", "FP16 layers", "largest error", "rms error", "same bytes", "s")
    rows = [[name, *_row(finding)] for name, finding in found.items()]
    rows.append(["the module, every value rounded", "", "", "", "", *_errors(own), "", ""])
    return _table(titles, rows)


def _row(finding: Finding) -> list[str]:
    judgement = finding.judgement
    if judgement is None:
        return ["no graph", "", "", "", "", "", "", f"{finding.seconds:.1f}"]
    share = "refused" if judgement.half_share is None else f"{judgement.half_share:.0%}"
    return [
        "no" if judgement.problems else "yes",
        str(judgement.casts),
        f"{judgement.size_bytes / 1e6:.2f}",
        share,
        *_errors(judgement.error),
        "yes" if finding.same_bytes else "no",
        f"{finding.seconds:.1f}",
    ]


def _errors(error: Error | None) -> list[str]:
    if error is None:
        return ["cannot run", ""]
    return ["NaN", ""] if math.isnan(error.max_abs) else [f"{error.max_abs:.1e}", f"{error.rms:.1e}"]


def hard_table(cases: Sequence[str], found: Mapping[str, Mapping[str, Finding]]) -> str:
    """The hard cases: a row for each, a column for every converter; largest error over the largest answer."""
    return _table(["case", *found], [[case, *(_cell(of[case]) for of in found.values())] for case in cases])


def _cell(finding: Finding) -> str:
    judgement = finding.judgement
    if judgement is None:
        return "no graph"
    if judgement.error is None:
        return "cannot run"
    mark = " (invalid)" if judgement.problems else ""
    return ("NaN" if math.isnan(judgement.error.relative) else f"{judgement.error.relative:.2%}") + mark


def problems(found: Mapping[str, Mapping[str, Finding]]) -> str:
    """What was wrong, a line each."""
    lines = []
    for name, of in found.items():
        for case, finding in of.items():
            wrong = finding.judgement.problems if finding.judgement else (finding.failure,)
            lines += [f"- {name}, {case}: {' '.join(one.split())[:300]}" for one in wrong]
    return "\n".join(lines)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruled = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled)
