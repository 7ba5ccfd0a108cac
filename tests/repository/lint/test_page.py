"""docs/lint.md is what the rules say of themselves."""

from pathlib import Path

from engineroom.repository.lint.page import page_from_rules
from engineroom.repository.lint.rules import RULES

PAGE = Path(__file__).parents[3] / "docs" / "lint.md"


def test_page_is_made_from_the_rules() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_from_rules(), "engineroom config lint --explain all > docs/lint.md"


def test_page_has_every_rule() -> None:
    text = page_from_rules()
    assert [rule.code for rule in RULES if f"### {rule.code} {rule.name}\n" not in text] == []
