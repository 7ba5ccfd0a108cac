"""Safe edits made: those that change no meaning, one by one, each proven by checking what comes out."""

from collections import Counter
from pathlib import Path

from engineroom.repository.lint.case import Case, World, with_texts
from engineroom.repository.lint.finding import Finding, edited
from engineroom.repository.lint.lint import lint_case
from engineroom.repository.lint.source import source_from_path, source_from_text

LEGIBLE = ("utf-8", "utf-8-sig", "utf-16")
"""Encodings that are told for certain; a file in another is left to its author."""


def fixed_texts(world: World) -> dict[Path, tuple[str, str]]:
    """The configurations of a model that safe edits mend.

    Args:
        world: The model, and what is known beside it.

    Returns:
        The text before and after, by path; only of files that are to be written.
    """
    fixed = {}
    for path in world.model.configs:
        source = source_from_path(path, world.texts)
        if source.unreadable or source.encoding not in LEGIBLE:
            continue
        text = fixed_text(source.text, path, world)
        if text != source.text or source.encoding != "utf-8":
            fixed[path] = (source.text, text)
    return fixed


def fixed_text(text: str, path: Path, world: World) -> str:
    """A configuration's text with every safe edit made; comments and order stay.

    An edit is kept where its finding goes and no other error comes.

    Args:
        text: The configuration.
        path: Where it stands.
        world: What is known beside it.
    """
    findings = _findings(text, path, world)
    tried: set[tuple[str, str]] = set()
    while ahead := [one for one in findings if one.edits and (one.code, one.reason) not in tried]:
        tried.add((ahead[0].code, ahead[0].reason))
        candidate = edited(text, ahead[0].edits)
        after = _findings(candidate, path, world)
        if _better(findings, after, ahead[0]):
            text, findings = candidate, after
    return text


def _better(before: tuple[Finding, ...], after: tuple[Finding, ...], mended: Finding) -> bool:
    counts = [Counter((one.code, one.reason) for one in found) for found in (before, after)]
    key = (mended.code, mended.reason)
    return counts[1][key] < counts[0][key] and _errors(after) <= _errors(before)


def _errors(findings: tuple[Finding, ...]) -> int:
    return sum(one.severity == "error" for one in findings)


def _findings(text: str, path: Path, world: World) -> tuple[Finding, ...]:
    found = lint_case(Case(source_from_text(text, path), with_texts(world, {path: text})))
    # By code: what is wrong with the text is mended before what it means.
    return tuple(sorted(found, key=lambda one: (one.code, one.line, one.column)))
