"""The rules, one file a family."""

from engineroom.repository.lint.rule import Rule
from engineroom.repository.lint.rules import (
    batching,
    bindings,
    ensembles,
    files,
    identity,
    instances,
    queue,
    sequences,
    settings,
    tensors,
    text,
    variants,
    versions,
    warmup,
)

FAMILIES = (
    *(text, identity, files, variants, tensors, bindings, batching, sequences, queue),
    *(instances, versions, ensembles, warmup, settings),
)
"""Modules with rules in them, in the order of their codes."""

RULES: tuple[Rule, ...] = tuple(
    sorted((one for family in FAMILIES for one in vars(family).values() if isinstance(one, Rule)), key=lambda r: r.code)
)
"""Every rule, by its code."""
