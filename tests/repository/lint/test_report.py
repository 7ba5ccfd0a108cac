"""Findings for people, for programs, and for code hosts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.finding import Finding
from engineroom.repository.lint.lint import lint_model
from engineroom.repository.lint.report import document_from_findings, text_from_findings
from engineroom.repository.lint.rules import RULES
from engineroom.repository.lint.sarif import sarif_from_findings

TEXT = 'backend: "openvino"\nmax_batch_size: 4\n\tdynamic_batching { prefered_batch_size: [8] }  # ours\n'


@pytest.fixture
def findings(lay_out: Callable[..., ModelFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    model = lay_out(tmp_path, "tiny", TEXT)
    return tuple(one for one in lint_model(model) if one.code in ("ER106", "ER404"))


def test_text_marks_the_place(findings: tuple[Finding, ...]) -> None:
    assert text_from_findings(findings, 1).splitlines()[:4] == [
        "tiny/configs/cpu.pbtxt:3:21: error ER106: 'dynamic_batching' has no field 'prefered_batch_size' "
        "(Triton refuses it)",
        "  3 |  dynamic_batching { prefered_batch_size: [8] }  # ours",
        "    |                     ^^^^^^^^^^^^^^^^^^^^^^^^",
        "    = Write preferred_batch_size",
    ]


def test_text_ends_with_the_counts(findings: tuple[Finding, ...]) -> None:
    assert text_from_findings(findings, 1).splitlines()[-1] == "1 configuration: 2 errors; --fix mends 1"
    assert text_from_findings((), 6) == "6 configurations: nothing to say"


def test_document_for_programs(findings: tuple[Finding, ...]) -> None:
    document = document_from_findings(findings, 1)
    assert document["counts"] == {"error": 2, "warning": 0, "note": 0}
    first = document["findings"][0]
    assert (first["file"], first["line"], first["column"]) == ("tiny/configs/cpu.pbtxt", 3, 21)
    assert (first["refused"], first["fixable"], first["rule"]) == (True, True, "unknown-field")


def test_sarif_names_rules_places_and_fixes(findings: tuple[Finding, ...]) -> None:
    log = sarif_from_findings(findings)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in rules] == [rule.code for rule in RULES]
    first = run["results"][0]
    assert rules[first["ruleIndex"]]["id"] == first["ruleId"] == "ER106"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "tiny/configs/cpu.pbtxt"
    assert place["region"] == {"startLine": 3, "startColumn": 21, "endLine": 3, "endColumn": 45}
    (replacement,) = first["fixes"][0]["artifactChanges"][0]["replacements"]
    offset, length = replacement["deletedRegion"]["charOffset"], replacement["deletedRegion"]["charLength"]
    assert TEXT[offset : offset + length] == "prefered_batch_size"
    assert replacement["insertedContent"] == {"text": "preferred_batch_size"}
    assert "fixes" not in run["results"][1]


def test_sarif_levels_are_the_formats_own() -> None:
    rules = sarif_from_findings(())["runs"][0]["tool"]["driver"]["rules"]
    assert {rule["defaultConfiguration"]["level"] for rule in rules} <= {"error", "warning", "note"}
