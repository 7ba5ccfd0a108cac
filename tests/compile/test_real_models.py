"""The three real models: built by real compilers, proven on real inputs."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from engineroom.compile.graph.naming import names_in
from engineroom.compile.recipes import recipe_from_name, recipe_names
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.project import Project
from engineroom.repository.agreement import agreement
from engineroom.repository.config import missing_configs
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, Repository
from engineroom.repository.passport import Artefact, Passport, passport_from_file

ROOT = Path(__file__).parents[2]
RTX = "tensorrt-rtx:sm89"

each_model = pytest.mark.parametrize("name", ["digits", "efficientnet_lite0", "minilm"])


def version(built: Repository, name: str) -> Path:
    model = built.model(name)
    assert model.latest is not None
    return model.version(model.latest)


def passport(built: Repository, name: str) -> Passport:
    return passport_from_file(version(built, name) / MANIFEST)


def artefact(built: Repository, name: str, target: str) -> Artefact:
    found = passport(built, name).artefact(target)
    assert found is not None
    return found


def golden(built: Repository, name: str) -> dict[str, dict[str, np.ndarray]]:
    with np.load(version(built, name) / GOLDEN) as arrays:
        return {
            side: {full.split(".", 1)[1]: arrays[full] for full in arrays.files if full.startswith(side)}
            for side in ("input", "output")
        }


def test_these_are_the_projects_recipes() -> None:
    assert recipe_names(Project(ROOT)) == ["digits", "efficientnet_lite0", "minilm"]


@each_model
def test_engine_is_compiled_for_a_gpu_that_is_not_here_and_computes_in_fp16(built: Repository, name: str) -> None:
    engine = artefact(built, name, RTX)
    plan = version(built, name) / engine.file
    assert plan.name == "model.rtx-sm89.plan"
    assert engine.size_bytes == plan.stat().st_size > 10_000
    assert engine.sha256 == sha256(plan)
    assert engine.built_with.startswith("tensorrt_rtx 1.7.")
    assert engine.precision["HALF"] >= engine.precision["FLOAT"]


@each_model
def test_every_artefact_was_proven_at_the_recipes_batch_sizes(built: Repository, name: str) -> None:
    recipe, known = recipe_from_name(Project(ROOT), name), passport(built, name)
    assert {one.target for one in known.artefacts} >= {"openvino", RTX}
    for one in known.artefacts:
        assert len(one.proven) == len(one.parity) >= 1
        for proof in one.parity:
            assert proof.batches == tuple(sorted({1, 2, 3, recipe.batch.opt, recipe.batch.max}))
            assert 0 < proof.mean_abs <= proof.max_abs
            assert 0.1 < proof.noise <= recipe.tolerance.noise
            assert 0 <= proof.drift <= recipe.tolerance.noise
            assert proof.top1 == 1.0


@each_model
def test_graph_is_valid_and_answers_its_golden_input(built: Repository, name: str) -> None:
    graph, stored = version(built, name) / GRAPH, golden(built, name)
    onnx.checker.check_model(str(graph), full_check=True)
    answer = runner_from_onnx(graph).answer(stored["input"])
    assert set(answer) == set(stored["output"])
    for output, expected in stored["output"].items():
        assert agreement(expected, answer[output]).misses(passport(built, name).limits[output]) == ()


@each_model
def test_committed_configurations_and_labels_fit_the_recipe(built: Repository, name: str) -> None:
    assert missing_configs(recipe_from_name(Project(ROOT), name), built.model(name)) == {}


def test_minilm_gives_its_name_to_the_output_and_another_to_the_value_that_had_it(built: Repository) -> None:
    graph = onnx.load(str(version(built, "minilm") / GRAPH)).graph
    assert [value.name for value in graph.output] == ["embedding"]
    assert "embedding_internal" in set(names_in(graph))
    defined = [name for node in graph.node for name in node.output if name]
    assert len(defined) == len(set(defined))


def test_minilm_was_proven_at_two_lengths_and_its_embeddings_are_unit_vectors(built: Repository) -> None:
    recipe = recipe_from_name(Project(ROOT), "minilm")
    assert len({group["input_ids"].shape[1] for group in recipe.samples()}) == 2
    np.testing.assert_allclose(np.linalg.norm(golden(built, "minilm")["output"]["embedding"], axis=1), 1, atol=1e-5)
    assert artefact(built, "minilm", "openvino").parity[0].cosine > 0.9999


def test_efficientnet_knows_the_cat_the_cup_and_the_rocket(built: Repository) -> None:
    labels = (built.model("efficientnet_lite0").path / "probabilities_labels.txt").read_text().splitlines()
    assert len(labels) == 1000
    best = golden(built, "efficientnet_lite0")["output"]["probabilities"].argmax(1)
    assert [labels[index] for index in best[:3]] == ["Egyptian cat", "espresso", "missile"]
    assert artefact(built, "efficientnet_lite0", "openvino").parity[0].top1 == 1.0


def test_digits_are_read_as_well_by_every_artefact_as_by_the_module(built: Repository) -> None:
    proofs = [proof for one in passport(built, "digits").artefacts for proof in one.parity]
    assert len(proofs) >= 2
    for proof in proofs:
        assert proof.task["accuracy of the module"] >= 0.95
        assert proof.task["accuracy"] >= 0.95
        assert abs(proof.task["accuracy"] - proof.task["accuracy of the module"]) <= 0.01
