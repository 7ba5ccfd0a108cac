"""Configurations for the tests of explain."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineroom.repository.config import config_from_text
from engineroom.repository.explain.effects import changes
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.footprint import Footprint
from engineroom.repository.explain.outlook import Change
from engineroom.repository.passport import Artefact, Passport, Profile

BASE = """
name: "tiny"
backend: "openvino"
max_batch_size: 4
dynamic_batching { }
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output { name: "y" data_type: TYPE_FP32 dims: [8] }
instance_group { count: 1 kind: KIND_CPU }
"""

Changes = Callable[..., tuple[Change, ...]]
"""`changes_of(old, new, old, new, ..., base=BASE, facts=...)`: the base's text with each old replaced by its new."""

Parse = Callable[[str], Any]


def edited(base: str, *edits: str) -> str:
    """A text with each first of two replaced by the second; an empty first means the end of the text."""
    for old, new in zip(edits[::2], edits[1::2], strict=True):
        assert old in base, old
        base = base.replace(old, new) if old else f"{base}{new}\n"
    return base


@pytest.fixture
def base() -> str:
    return BASE


@pytest.fixture
def parse() -> Parse:
    return lambda text: config_from_text(text, Path("config.pbtxt"))


@pytest.fixture
def facts() -> Facts:
    """Two versions on four cores, promised within 100 ms, proven for up to 4 rows."""
    artefacts = (
        Artefact("model.xml", "openvino", 1000, "0", "openvino", 0.1, proven=("f32",)),
        Artefact("model.plan", "tensorrt", 9_000_000, "0", "tensorrt", 0.1),
    )
    profile = Profile("fp16", {"x": ((1, 8), (2, 8), (4, 8))})
    passport = Passport("tiny", "0", "2026-01-01", "engineroom build tiny", profile, {}, {}, {}, artefacts)
    graph = Footprint(10_000_000, 100, 1_000_000, 50_000_000, only_batch_varies=True)
    return Facts(passport, (1, 2), 100.0, graph, cores=4, amx=False)


@pytest.fixture
def changes_of(parse: Parse, facts: Facts) -> Changes:
    def found(*edits: str, base: str = BASE, facts: Facts = facts) -> tuple[Change, ...]:
        return changes(parse(base), parse(edited(base, *edits)), facts=facts)

    return found
