"""Every rule speaks of its mistake, in its line, and keeps silent where there is none."""

from typing import Any

import pytest

from engineroom.repository.lint.rules import RULES

ELSEWHERE = {
    "ER101": "test_files.py: there is no text",
    "ER102": "test_files.py: there is no text",
    "ER103": "test_files.py: there is no text",
    "ER326": "test_foreign.py: a size that varies",
    "ER327": "test_foreign.py: a foreign graph",
    "ER330": "test_foreign.py: a foreign graph",
}
"""Rules whose cases stand in another file, and why."""


def test_rule_fires_in_its_line(rule_case: Any, lint_text: Any) -> None:
    found = lint_text(rule_case.broken, files=rule_case.files, **rule_case.world)
    lines = [one.line for one in found if one.code == rule_case.code]
    assert lines, [one.sentence for one in found]
    assert rule_case.where in lines
    assert [one.sentence for one in found if one.reason.endswith(".") or one.mend.endswith(".")] == []


def test_rule_is_silent_without_the_mistake(rule_case: Any, lint_text: Any) -> None:
    found = lint_text(rule_case.good, files=rule_case.mended, **rule_case.world)
    assert [one.sentence for one in found if one.code == rule_case.code] == []


@pytest.mark.parametrize(("rows", "severity"), [(2, "note"), (8, "warning"), (0, "warning")])
def test_fewer_rows_without_a_gpu_can_be_meant(
    rule_cases: dict[str, Any], lint_text: Any, rows: int, severity: str
) -> None:
    (case,) = (case for case in rule_cases.values() if case.code == "ER232")
    text = case.good.replace("max_batch_size: 4", f"max_batch_size: {rows}")
    assert text != case.good
    found = lint_text(text, files=case.files)
    assert [one.severity for one in found if one.code == "ER232"] == [severity]


def test_every_rule_has_a_case(rule_cases: dict[str, Any]) -> None:
    assert {case.code for case in rule_cases.values()} | set(ELSEWHERE) == {rule.code for rule in RULES}


def test_codes_and_names_are_given_once() -> None:
    assert len({rule.code for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)


def test_every_rule_says_what_why_and_how() -> None:
    assert [rule.code for rule in RULES if len(rule.paragraphs) < 2 or not rule.mend] == []
    assert [rule.code for rule in RULES if not rule.paragraphs[-1].startswith("Mend: ")] == []
