"""The table of precisions: every variant is built, judged and timed; nothing is published."""

import json
import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from engineroom.cli.models import models
from engineroom.cli.precisions import text_from_rows
from engineroom.compile.precisions import Row, median_and_interval, rows_from_recipe, rows_per_s, variants
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.targets import Runner
from engineroom.project import Project


@pytest.fixture(scope="module")
def rows(tiny_built: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    found = rows_from_recipe(
        recipe_from_name(tiny_built, "tiny"), tmp_path_factory.mktemp("work"), 1.0, lambda _: nullcontext()
    )
    return {row.name: row for row in found}


def test_every_variant_is_there_and_honest_ones_pass(rows: dict[str, Row]) -> None:
    assert list(rows) == [variant.name for variant in variants()]
    dense = [row for name, row in rows.items() if "2:4" not in name]
    assert [row.refused for row in dense] == [""] * len(dense)
    assert [row.parity.kind for row in dense] == [
        {"int8": "int8", "bf16": "bf16", "fp16": "fp16"}.get(row.name, "fp32") for row in dense
    ]
    assert rows["fp32"].parity.max_abs < rows["fp16"].parity.max_abs < rows["int8"].parity.max_abs
    assert rows["int8"].computes.startswith("int8 graph in ")


def test_speed_is_told_beside_that_of_fp32(rows: dict[str, Row]) -> None:
    assert rows["fp32"].ratio == (1.0, 1.0, 1.0)
    for row in rows.values():
        middle, low, high = row.ratio
        assert low <= middle <= high
        assert row.rows_per_s > 0


def test_interval_holds_the_median_of_what_varies() -> None:
    middle, low, high = median_and_interval(np.array([1.0, 1.1, 0.9, 1.2, 1.0, 1.05, 5.0]))
    assert middle == 1.05
    assert 0.9 <= low < middle < high < 5.0


def test_rounds_take_turns_and_see_a_runner_that_is_slower() -> None:
    asked: list[str] = []

    def runner(name: str, seconds: float) -> Runner:
        def answer(inputs: object) -> dict[str, np.ndarray]:
            time.sleep(seconds)
            if asked[-1:] != [name]:
                asked.append(name)
            return {}

        return Runner(name, answer)

    fast, slow = rows_per_s([runner("fast", 0.001), runner("slow", 0.004)], {"x": np.zeros((8, 1))}, 1.0)
    assert asked == ["fast", "slow"] * (len(fast) + 1)
    assert len(fast) == len(slow) >= 5
    assert 2 < np.median(fast) / np.median(slow) < 5


def test_table_has_a_line_for_each_and_the_reasons_below(rows: dict[str, Row]) -> None:
    worse = replace(rows["2:4"], refused="tiny: 2:4 pruning costs too much")
    lines = text_from_rows((*rows.values(), worse)).splitlines()
    assert lines[0].split()[:3] == ["precision", "computes", "size"]
    assert "share" in lines[0]
    assert [line.split()[-1] for line in lines[2 : len(rows) + 3]] == ["passes"] * len(rows) + ["refused"]
    assert lines[-1] == "refused: tiny: 2:4 pruning costs too much"


def test_command_tells_the_conditions_and_publishes_nothing(tiny_project: Project) -> None:
    before = sorted(tiny_project.repository.rglob("*"))
    told = CliRunner().invoke(models, ["precisions", "tiny", "--seconds", "1", "--json"])
    found = json.loads(told.stdout)
    assert found["conditions"]["batch"] == "4"
    assert {"openvino", "torch", "amx", "cores"} <= found["conditions"].keys()
    assert [row["name"] for row in found["rows"]] == [variant.name for variant in variants()]
    assert sorted(tiny_project.repository.rglob("*")) == before
