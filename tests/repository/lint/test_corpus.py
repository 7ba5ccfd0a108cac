"""Every case of tests/corpus, linted: broken ones are caught, good ones raise nothing, and no verdict is false.

That the truth about the cases is one is shown in tests/e2e/test_corpus_truth.py.
"""

from pathlib import Path
from typing import Any

import pytest
from lint import complaint, linted
from lint_bases import BASES, Base, publish_bases
from lint_corpus import Case, cases, write

from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.lint import lint_model


def named(case: Case) -> Any:
    """A case as a parameter; one that lint is known to be wrong about must fail until its file says otherwise."""
    wrong = case.said("lint")
    return pytest.param(case, id=case.name, marks=[pytest.mark.xfail(reason=wrong, strict=True)] if wrong else [])


BROKEN = [named(case) for case in cases() if case.broken]
GOOD = [named(case) for case in cases() if not case.broken]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("corpus")
    publish_bases(repository)
    return repository


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_configuration_is_caught(repository: Path, case: Case) -> None:
    said = linted(case, write(case, repository))
    assert complaint(said) == ""


@pytest.mark.parametrize("case", GOOD)
def test_a_good_configuration_raises_nothing(repository: Path, case: Case) -> None:
    said = linted(case, write(case, repository))
    assert complaint(said) == ""


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_the_bases_raise_nothing(repository: Path, base: Base) -> None:
    assert [one.sentence for one in lint_model(ModelFolder(repository / base.name)) if one.severity != "note"] == []
