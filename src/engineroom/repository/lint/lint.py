"""Every rule on every configuration of a model."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from engineroom.recipe import Recipe
from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.case import Case, World
from engineroom.repository.lint.finding import SEVERITIES, Finding
from engineroom.repository.lint.rule import Rule
from engineroom.repository.lint.rules import RULES
from engineroom.repository.lint.source import source_from_path


def lint_model(
    model: ModelFolder, *, recipe: Recipe | None = None, texts: Mapping[Path, str] | None = None
) -> tuple[Finding, ...]:
    """Check every configuration of a model.

    Args:
        model: The model's folder.
        recipe: Its recipe, where there is one: more can be checked then.
        texts: Contents to check instead of what stands in the files, by path.

    Returns:
        What was found, by file and line; nothing that a configuration holds is raised.
    """
    return lint_world(World(model, recipe, texts or {}))


def lint_world(world: World) -> tuple[Finding, ...]:
    """Check every configuration of a model, with all that is known beside them."""
    paths = tuple(dict.fromkeys((*world.model.configs, *world.texts))) or (world.model.config,)
    ours = [path for path in paths if path.is_relative_to(world.model.path)]
    cases = (Case(source_from_path(path, world.texts), world) for path in ours)
    found = {finding for case in cases for finding in lint_case(case)}
    return tuple(sorted(found, key=lambda one: (str(one.file), one.line, one.column, one.code, one.reason)))


def lint_case(case: Case, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """Check one configuration.

    Args:
        case: The configuration, and what is known beside it.
        rules: The rules to hold it against.
    """
    text_only = case.source.syntax is not None or case.source.unreadable
    held = (rule for rule in rules if not text_only or rule.code < "ER2")
    return tuple(finding for rule in held for finding in rule.findings(case))


def worst(findings: Iterable[Finding]) -> str:
    """The gravest severity among findings; empty where there are none."""
    said = {finding.severity for finding in findings}
    return next((severity for severity in SEVERITIES if severity in said), "")
