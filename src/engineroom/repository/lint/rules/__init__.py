"""The rules, one file a family."""

from engineroom.repository.lint.rule import Rule
from engineroom.repository.lint.rules import batching, text

FAMILIES = (text, batching)
"""Modules with rules in them, in the order of their codes."""

RULES: tuple[Rule, ...] = tuple(
    sorted((one for family in FAMILIES for one in vars(family).values() if isinstance(one, Rule)), key=lambda r: r.code)
)
"""Every rule, by its code."""
