"""Preflight: which version loads where, and the sentence that says why not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engineroom.errors import RepositoryError
from engineroom.hardware import capability
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, passport_from_file
from engineroom.repository.place import Place, misfit, same_version
from engineroom.repository.preflight import Preflight, preflight
from engineroom.repository.triton_images import IMAGES, image_from_tag
from engineroom.repository.verdict import verdict

L4, H200 = "NVIDIA L4, compute capability 8.9", "NVIDIA H200, compute capability 9.0"
PLAN = Artefact("model.plan", "tensorrt", 4, "", "tensorrt 11.2.1.2", 0.1, device=L4)
RTX = Artefact("model.rtx-sm89.plan", "tensorrt-rtx:sm89", 4, "", "tensorrt_rtx 1.7.1.116", 0.1)
IR = Artefact("model.xml", "openvino", 4, "", "openvino 2026.4.1", 0.1)
CPU = Place(cpu=True)


def image(tag: str, gpu: str) -> Place:
    return Place(gpu, image_from_tag(tag).tensorrt, image_from_tag(tag))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (Place(L4, "11.2.1.2"), ""),
        (Place(L4, "11.2.1"), ""),
        (Place("sm89", "11.2.1.2"), ""),
        (Place(), ""),
        (Place(L4, "11.2.1.3"), "made by TensorRT 11.2.1.2, not 11.2.1.3"),
        (Place(L4, "11.2.2"), "made by TensorRT 11.2.1.2, not 11.2.2"),
        (Place(L4, "10.16.1.11"), "made by TensorRT 11.2.1.2, not 10.16.1.11"),
        (Place("sm90"), f"made on {L4}, not sm90"),
        (
            Place("NVIDIA L40, compute capability 8.9"),
            f"made on {L4}, not NVIDIA L40, compute capability 8.9",
        ),
        (Place(H200, "11.1.0.106"), f"made by TensorRT 11.2.1.2, not 11.1.0.106 and made on {L4}, not {H200}"),
    ],
    ids=["same", "library's version", "capability", "nothing known", "build", "patch", "major", "sm", "model", "both"],
)
def test_a_plan_fits_its_own_tensorrt_and_gpu(place: Place, reason: str) -> None:
    assert misfit(PLAN, place) == reason


def test_a_plan_of_an_unknown_gpu_fits_no_known_one() -> None:
    assert misfit(replace(PLAN, device=""), Place(L4)) == f"made on an unknown GPU, not {L4}"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("11.2.1", "11.2.1.2", True), ("11.2.1", "11.2.10", False), ("11.4", "11.4.0.106", True), ("", "11.4", True)],
)
def test_versions_are_compared_in_the_parts_that_both_have(one: str, other: str, same: bool) -> None:
    assert same_version(one, other) is same_version(other, one) is same


@pytest.mark.parametrize(("gpu", "sm"), [(L4, "sm89"), ("X, compute capability 12.1", "sm121"), ("NVIDIA L4", "")])
def test_capability_is_read_from_the_drivers_words(gpu: str, sm: str) -> None:
    assert capability(gpu) == sm


@pytest.mark.parametrize(
    ("artefact", "place", "sentence"),
    [
        (PLAN, Place(L4, "11.2.1"), f"model.plan loads on {L4}."),
        (
            PLAN,
            image("26.08", "sm89"),
            "model.plan loads on Triton 26.08 with sm89 "
            "(no plan is promised to run on another model of sm89 than its own).",
        ),
        (
            PLAN,
            image("26.07", "sm89"),
            "model.plan does not load on Triton 26.07 with sm89: it was made by TensorRT 11.2.1.2, not 11.1.0.106",
        ),
        (
            replace(PLAN, built_with="tensorrt 11.3.0.99"),
            image("26.09", L4),
            f"model.plan loads on Triton 26.09 with {L4} (that Triton 26.09 has TensorRT 11.3.0.99 is unconfirmed).",
        ),
        (
            PLAN,
            image("26.09", L4),
            f"model.plan does not load on Triton 26.09 with {L4}: it was made by TensorRT 11.2.1.2, not 11.3.0.99 "
            "(that Triton 26.09 has TensorRT 11.3.0.99 is unconfirmed).",
        ),
        (
            PLAN,
            image("26.01", L4),
            f"model.plan loads on Triton 26.01 with {L4} (TensorRT's version there is not known).",
        ),
        (
            PLAN,
            Place(),
            "model.plan loads on a GPU (TensorRT's version there is not known; the GPU there is not known).",
        ),
        (
            PLAN,
            CPU,
            f"model.plan does not load on a machine without a GPU: it needs the GPU that it was made on, {L4}.",
        ),
        (
            RTX,
            Place("sm89", "11.2.1"),
            "model.rtx-sm89.plan does not load on sm89: it is a plan of TensorRT for RTX, another format",
        ),
        (RTX, CPU, "model.rtx-sm89.plan does not load on a machine without a GPU: it is a plan of TensorRT for RTX"),
        (IR, CPU, "model.xml loads on a machine without a GPU."),
        (
            IR,
            Place(L4),
            f"model.xml does not load on {L4}: it is OpenVINO's, which the configuration for the CPU names.",
        ),
    ],
    ids=[
        "plan, here",
        "plan, image",
        "plan, older image",
        "plan, unconfirmed image",
        "misfit, unconfirmed image",
        "plan, image of unknown TensorRT",
        "plan, nothing known",
        "plan, CPU",
        "RTX, GPU",
        "RTX, CPU",
        "OpenVINO, CPU",
        "OpenVINO, GPU",
    ],
)
def test_every_artefact_gets_one_sentence(artefact: Artefact, place: Place, sentence: str) -> None:
    told = verdict(artefact, place).sentence
    assert told.startswith(sentence)
    assert told.endswith(".")
    assert "\n" not in told


@pytest.fixture
def model(tmp_path: Path, publish_tiny: Any) -> ModelFolder:
    """A version that loads without a GPU, and on an L4 with TensorRT 11.2.1.2."""
    published: ModelFolder = publish_tiny(tmp_path, on_cpu=True)
    add_plan(published, "model.plan", L4)
    return published


def add_plan(model: ModelFolder, file: str, device: str) -> None:
    path = model.version(1) / file
    path.write_bytes(f"plan for {device}".encode())
    artefact = replace(PLAN, file=file, size_bytes=path.stat().st_size, sha256=sha256(path), device=device)
    manifest = model.version(1) / MANIFEST
    passport = passport_from_file(manifest)
    manifest.write_text(replace(passport, artefacts=(*passport.artefacts, artefact)).to_json())


def configure(model: ModelFolder, text: str) -> None:
    model.config.write_text(f"{model.config.read_text()}\n{text}\n")


@pytest.mark.parametrize("place", [CPU, Place(L4, "11.2.1"), image("26.08", L4)], ids=["CPU", "here", "image"])
def test_a_model_loads_where_its_configurations_file_does(model: ModelFolder, place: Place) -> None:
    found = preflight(model, place)
    assert (found.loads, found.sentence) == (True, f"tiny: version 1 loads on {place}.")
    assert [one.file for one in found.artefacts] == ["model.xml", "model.plan"]


def refused(model: ModelFolder, place: Place) -> str:
    found = preflight(model, place)
    assert not found.loads
    assert "\n" not in found.sentence
    return found.sentence


def test_a_plan_of_another_image_can_be_compiled_from_the_graph(model: ModelFolder) -> None:
    assert refused(model, image("26.05", "sm90")) == (
        "tiny: version 1 does not load on Triton 26.05 with sm90: model.plan was made by TensorRT 11.2.1.2, not "
        f"10.16.1.11 and made on {L4}, not sm90. Compile it there from model.graph.onnx: "
        "engineroom models engines tiny, or engineroom serve --engines"
    )


def test_without_the_graph_only_a_build_mends_it(model: ModelFolder) -> None:
    (model.version(1) / GRAPH).unlink()
    assert refused(model, Place(H200)).endswith(f"made on {L4}, not {H200}. Run: engineroom build tiny")


def test_a_version_without_a_plan_says_what_it_has(tmp_path: Path, publish_tiny: Any) -> None:
    told = refused(publish_tiny(tmp_path), Place(L4, "11.2.1"))
    assert f"does not load on {L4}: its manifest has no model.plan, only model.xml. Compile it there from" in told


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def alter(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


@pytest.mark.parametrize(
    ("file", "damage", "reason"),
    [
        ("model.plan", Path.unlink, "model.plan is missing. Compile"),
        ("model.plan", cut, "model.plan is 41 bytes long, not the 42 that the manifest describes. Compile"),
        ("model.plan", alter, "model.plan is not the file that the manifest describes. Compile"),
        ("model.xml", Path.unlink, "model.xml is missing. Run: engineroom build tiny --target openvino"),
        (
            "model.xml",
            alter,
            "model.xml is not the file that the manifest describes. Run: engineroom build tiny --targ",
        ),
        ("model.bin", Path.unlink, "model.xml is without model.bin, which belongs to it. Run: engineroom build tiny"),
        (
            "model.bin",
            cut,
            "model.xml is beside a model.bin that the manifest does not describe. Run: engineroom build",
        ),
        ("model.bin", alter, "model.xml is beside a model.bin that the manifest does not describe. Run: engineroom"),
        (
            GOLDEN,
            cut,
            f"its golden answers cannot be asked for: {GOLDEN} is not the file that the manifest describes. Run",
        ),
        (
            GOLDEN,
            Path.unlink,
            f"its golden answers cannot be asked for: {GOLDEN} is missing. Run: engineroom build tiny",
        ),
    ],
    ids=[
        "no plan",
        "half a plan",
        "another plan",
        "no IR",
        "another IR",
        "no weights",
        "half of the weights",
        "other weights",
        "half a golden answer",
        "no golden answer",
    ],
)
def test_files_that_are_not_those_of_the_manifest_are_refused(
    model: ModelFolder, file: str, damage: Any, reason: str
) -> None:
    damage(model.version(1) / file)
    assert reason in refused(model, Place(L4, "11.2.1") if file == "model.plan" else CPU)


@pytest.mark.parametrize("place", [Place(L4, "11.2.1"), Place("sm89"), Place(H200), Place("sm90")], ids=str)
def test_the_plan_for_a_compute_capability_is_the_one_judged(model: ModelFolder, place: Place) -> None:
    """The key is Triton's form of a compute capability."""
    add_plan(model, "model.sm90.plan", H200)
    configure(model, 'cc_model_filenames { key: "9.0" value: "model.sm90.plan" }')
    assert preflight(model, place).loads


def test_an_engine_that_is_not_named_for_its_gpu_says_what_to_write(model: ModelFolder) -> None:
    add_plan(model, "model.sm90.plan", H200)
    assert refused(model, Place(H200)).endswith(
        f"model.plan was made on {L4}, not {H200}. In config.pbtxt, name model.sm90.plan, which loads there: "
        'cc_model_filenames { key: "9.0" value: "model.sm90.plan" }'
    )


def test_an_engine_that_is_named_and_not_there_is_missing(model: ModelFolder) -> None:
    """The configuration outlives the version whose engine it names."""
    configure(model, 'cc_model_filenames { key: "9.0" value: "model.sm90.plan" }')
    assert "its manifest has no model.sm90.plan, only model.xml, model.plan. Compile it" in refused(model, Place(H200))


@pytest.mark.parametrize("fits", [True, False])
def test_on_an_unknown_gpu_one_fitting_engine_is_enough(model: ModelFolder, fits: bool) -> None:
    add_plan(model, "model.sm90.plan", H200)
    configure(model, 'cc_model_filenames { key: "9.0" value: "model.sm90.plan" }')
    (model.version(1) / "model.plan").unlink()
    if not fits:
        (model.version(1) / "model.sm90.plan").unlink()
    assert preflight(model, Place(tensorrt="11.2.1")).loads is fits


def test_a_plan_of_tensorrt_for_rtx_that_is_named_is_to_be_taken_out(model: ModelFolder) -> None:
    add_plan(model, RTX.file, "")
    manifest = model.version(1) / MANIFEST
    passport = passport_from_file(manifest)
    rtx = replace(passport.artefacts[-1], target=RTX.target)
    manifest.write_text(replace(passport, artefacts=(*passport.artefacts[:-1], rtx)).to_json())
    configure(model, f'cc_model_filenames {{ key: "8.9" value: "{RTX.file}" }}')
    told = refused(model, Place("sm89"))
    assert f"{RTX.file} is a plan of TensorRT for RTX, another format, which none of Triton's backends reads. " in told
    assert 'In config.pbtxt, name model.plan, which loads there: cc_model_filenames { key: "8.9" value' in told
    (model.version(1) / "model.plan").unlink()
    told = refused(model, Place("sm89"))
    assert f"Take {RTX.file} out of config.pbtxt, then compile an engine there from {GRAPH}: engineroom models" in told
    assert preflight(model, Place(L4)).loads is False


ORT = f'backend: "onnxruntime" default_model_filename: "{GRAPH}"'


def on_onnx_runtime(model: ModelFolder, text: str = ORT) -> None:
    model.config.write_text(model.config.read_text().replace('platform: "tensorrt_plan"', text))


@pytest.mark.parametrize("place", [Place("sm90"), Place(L4, "11.2.1"), image("26.09", "sm120"), Place()], ids=str)
def test_a_graph_loads_on_onnx_runtime_whatever_the_gpu(model: ModelFolder, place: Place) -> None:
    """No TensorRT takes part, so nothing is left open about its version."""
    on_onnx_runtime(model)
    assert preflight(model, place).sentence == f"tiny: version 1 loads on {place}."


@pytest.mark.parametrize(
    ("text", "damage", "reason"),
    [
        (ORT, cut, f"{GRAPH} is not the file that the manifest describes. Run: engineroom build tiny --force"),
        (ORT, Path.unlink, f"{GRAPH} is missing. Run: engineroom build tiny"),
        (ORT.replace(GRAPH, "model.plan"), None, "ONNX Runtime reads no model.plan"),
    ],
    ids=["half a graph", "no graph", "an engine"],
)
def test_onnx_runtime_needs_the_whole_graph(model: ModelFolder, text: str, damage: Any, reason: str) -> None:
    on_onnx_runtime(model, text)
    if damage:
        damage(model.version(1) / GRAPH)
    assert reason in refused(model, Place(L4))


def test_onnx_runtimes_backend_is_the_gpu_containers(model: ModelFolder) -> None:
    on_onnx_runtime(model)
    model.cpu_config.unlink()
    assert "config.pbtxt gives it to ONNX Runtime's backend, which needs a GPU" in refused(model, CPU)


def test_a_damaged_graph_is_told_of_a_version_that_loads_all_the_same(model: ModelFolder) -> None:
    cut(model.version(1) / GRAPH)
    found = preflight(model, Place(L4, "11.2.1"))
    assert found.loads
    assert found.sentence.endswith(
        f"; but {GRAPH} is not the file that the manifest describes, so no further engine can be compiled from it."
    )
    assert refused(model, Place(H200)).endswith("Run: engineroom build tiny --force")


def judged_by_its_author(model: ModelFolder, place: Place) -> Preflight:
    found = preflight(model, place)
    assert found.loads
    assert found.sentence.startswith("tiny: version 1 is not judged: ")
    return found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version_policy { specific { versions: [7] } }", "version_policy serves other versions"),
        ('default_model_filename: "mine.plan"', "the file is mine.plan, of which the manifest says nothing"),
        ('platform: "" backend: "python"', "the backend is 'python'"),
    ],
    ids=["other versions", "own file", "own backend"],
)
def test_what_only_the_configurations_author_knows_is_not_judged(model: ModelFolder, text: str, reason: str) -> None:
    configure(model, "")
    model.config.write_text(model.config.read_text().replace('platform: "tensorrt_plan"', "") + text)
    if "platform" not in text:
        configure(model, 'platform: "tensorrt_plan"')
    assert judged_by_its_author(model, Place(H200)).sentence.endswith(f"in config.pbtxt, {reason}.")


def test_a_version_of_another_maker_is_not_judged(model: ModelFolder) -> None:
    (model.version(1) / MANIFEST).unlink()
    assert judged_by_its_author(model, Place(H200)).sentence.endswith("it has no manifest.json.")


def test_without_a_cpu_configuration_nothing_loads_without_a_gpu(model: ModelFolder) -> None:
    model.cpu_config.unlink()
    assert "config.pbtxt gives it to TensorRT, which needs a GPU. Run: engineroom build tiny" in refused(model, CPU)


@pytest.mark.parametrize("file", ["1/manifest.json", "config.pbtxt"])
def test_what_cannot_be_read_is_an_error_and_no_verdict(model: ModelFolder, file: str) -> None:
    (model.path / file).write_text("{")
    with pytest.raises(RepositoryError, match=file):
        preflight(model, Place(L4))


def test_a_manifest_from_a_newer_engineroom_is_no_verdict(model: ModelFolder) -> None:
    manifest = model.version(1) / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": 99}))
    with pytest.raises(RepositoryError, match="Update engineroom"):
        preflight(model, CPU)


def test_the_page_on_the_container_tells_the_same_of_each_image() -> None:
    page = (Path(__file__).parents[2] / "docs" / "container.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in page if line.startswith("| 2")]
    assert rows
    for tag, triton, tensorrt in rows:
        found = image_from_tag(tag)
        assert (found.triton, found.tensorrt) == (triton, tensorrt)
        assert found.evidence


def test_tags_are_told_once_and_in_order() -> None:
    tags = [one.tag for one in IMAGES]
    assert tags == sorted(set(tags))
    assert image_from_tag("26.08-py3") == image_from_tag("26.08")


def test_an_unknown_tag_lists_the_known_ones() -> None:
    with pytest.raises(RepositoryError, match=r"Triton '27\.01' is unknown\. Known are: 25\.01, .*26\.11\."):
        image_from_tag("27.01")
