"""Findings as text for people and as JSON for programs."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engineroom.repository.lint.finding import SEVERITIES, Finding
from engineroom.repository.lint.source import source_from_path


def text_from_findings(findings: Iterable[Finding], configs: int, texts: Mapping[Path, str] | None = None) -> str:
    """Each finding with its line, a mark below the place, and the mend; then what there is of each kind.

    Args:
        findings: What was found.
        configs: How many configurations were checked.
        texts: Contents that were checked instead of what stands in the files.
    """
    findings = tuple(findings)
    lines = {path: source_from_path(path, texts).text.splitlines() for path in {one.file for one in findings}}
    return "\n".join((*(_block(one, lines[one.file]) for one in findings), _summary(findings, configs)))


def document_from_findings(findings: Iterable[Finding], configs: int) -> dict[str, Any]:
    """Findings as JSON's types.

    Args:
        findings: What was found.
        configs: How many configurations were checked.
    """
    findings = tuple(findings)
    counts = Counter(one.severity for one in findings)
    return {
        "configurations": configs,
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "findings": [{**one.to_dict(), "file": str(near(one.file))} for one in findings],
    }


def near(path: Path) -> Path:
    """A path from the current folder, where it lies below it."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


def _block(finding: Finding, lines: list[str]) -> str:
    refused = " (Triton refuses it)" if finding.refused else ""
    place = f"{near(finding.file)}:{finding.line}:{finding.column}"
    head = f"{place}: {finding.severity} {finding.code}: {finding.reason}{refused}"
    shown = lines[finding.line - 1] if finding.line <= len(lines) else ""
    margin = " " * len(str(finding.line))
    marks = "^" * max(1, min(finding.length, len(shown) - finding.column + 1))
    return "\n".join(
        (
            head,
            f"  {finding.line} | {shown.expandtabs(1)}",
            f"  {margin} | {' ' * (finding.column - 1)}{marks}",
            f"  {margin} = {finding.mend}",
            "",
        )
    )


def _summary(findings: tuple[Finding, ...], configs: int) -> str:
    counts = Counter(one.severity for one in findings)
    said = ", ".join(_count(counts[severity], severity) for severity in SEVERITIES if counts[severity])
    mended = sum(bool(one.edits) for one in findings)
    fixable = f"; --fix mends {mended}" if mended else ""
    return f"{_count(configs, 'configuration')}: {said or 'nothing to say'}{fixable}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
