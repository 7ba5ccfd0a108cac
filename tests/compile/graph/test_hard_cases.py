"""Small modules that are hard in FP16 (perf/converter_cases.py): the project's converter bears them, with rounding."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest

from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.graph.half import half_from_fp32
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.compile.truth.reference import Reference
from engineroom.recipe import Recipe
from engineroom.repository.agreement import agreement


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[3] / "perf" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("recipe", load("converter_cases").HARD, ids=lambda recipe: recipe.name)
def test_hard_case_is_valid_and_right_where_every_value_is_rounded(recipe: Recipe, tmp_path: Path) -> None:
    reference, source, path = Reference(recipe), tmp_path / "model.onnx", tmp_path / "graph.onnx"
    onnx_from_module(reference, source)
    model, _ = half_from_fp32(recipe.name, source, reference.groups)
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=True)
    answer: Any = rounding_runner(path).answer
    for group in reference.groups:
        halved, exact = answer(group), reference.answer(group)
        for name, expected in exact.items():
            assert agreement(expected, halved[name]).max_abs < 2e-3 * abs(expected).max()
