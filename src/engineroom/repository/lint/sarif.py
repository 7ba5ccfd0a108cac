"""Findings in SARIF 2.1.0, which code hosts and editors show (docs.oasis-open.org/sarif/sarif/v2.1.0)."""

from collections.abc import Iterable
from typing import Any

from engineroom import __version__
from engineroom.repository.lint.finding import Finding
from engineroom.repository.lint.report import near
from engineroom.repository.lint.rule import Rule
from engineroom.repository.lint.rules import RULES

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif_from_findings(findings: Iterable[Finding]) -> dict[str, Any]:
    """A SARIF log as JSON's types: one run, every rule, a result for each finding.

    Args:
        findings: What was found.
    """
    driver = {"name": "engineroom", "version": __version__, "rules": [_descriptor(rule) for rule in RULES]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.finds},
        "fullDescription": {"text": f"{rule.finds} {rule.why}".strip()},
        "help": {"text": rule.mend, "markdown": rule.page},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(finding: Finding) -> dict[str, Any]:
    place = {"uri": near(finding.file).as_uri() if near(finding.file).is_absolute() else near(finding.file).as_posix()}
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.line,
        "endColumn": finding.column + finding.length,
    }
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": next(index for index, rule in enumerate(RULES) if rule.code == finding.code),
        "level": finding.severity,
        "message": {"text": f"{finding.reason}. {finding.mend}."},
        "locations": [{"physicalLocation": {"artifactLocation": place, "region": region}}],
        "properties": {"refused": finding.refused},
    }
    if finding.edits:
        result["fixes"] = [{"artifactChanges": [{"artifactLocation": place, "replacements": _replacements(finding)}]}]
    return result


def _replacements(finding: Finding) -> list[dict[str, Any]]:
    return [
        {
            "deletedRegion": {"charOffset": edit.start, "charLength": edit.end - edit.start},
            "insertedContent": {"text": edit.text},
        }
        for edit in finding.edits
    ]
