"""What `serve` refuses on a machine with GPUs, judged without one: it takes the manifest and the GPUs' names."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engineroom.errors import StartupFailed
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, passport_from_file
from engineroom.repository.place import Place
from engineroom.repository.wiring import wire
from engineroom.serve.fitness import places, refuse_misfits
from engineroom.serve.triton import Triton

L4, H200 = "NVIDIA L4, compute capability 8.9", "NVIDIA H200, compute capability 9.0"
CONTAINER = Triton(Path("/opt/tritonserver/bin/tritonserver"), gpu=True)


@pytest.fixture
def model(tmp_path: Path, publish_tiny: Any) -> ModelFolder:
    """A version with a plan made on an L4 by TensorRT 11.2.1.2."""
    published: ModelFolder = publish_tiny(tmp_path)
    version = published.version(1)
    (version / "model.plan").write_bytes(b"plan")
    digest = sha256(version / "model.plan")
    plan = Artefact("model.plan", "tensorrt", 4, digest, "tensorrt 11.2.1.2", 0.1, device=L4)
    passport = passport_from_file(version / MANIFEST)
    (version / MANIFEST).write_text(replace(passport, artefacts=(plan,)).to_json())
    return published


def test_a_machine_is_a_place_for_each_kind_of_gpu() -> None:
    assert [one.gpu for one in places(CONTAINER, (L4, H200, L4))] == [L4, H200]
    assert [(one.gpu, one.cpu) for one in places(CONTAINER, ())] == [("", False)]
    assert places(replace(CONTAINER, gpu=False), (L4,)) == (Place(cpu=True),)


@pytest.mark.parametrize(
    "here",
    [(Place(L4, "11.2.1"),), (Place(H200, "11.2.1"), Place(L4, "11.2.1")), (Place(L4),), (Place(),)],
    ids=["its GPU", "its GPU among others", "TensorRT unknown", "nothing known"],
)
def test_a_plan_that_fits_one_of_the_gpus_is_served(model: ModelFolder, here: tuple[Place, ...]) -> None:
    refuse_misfits((model,), here)


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        (Place(L4, "11.1.0"), "made by TensorRT 11.2.1.2, not 11.1.0"),
        (Place(H200, "11.2.1"), f"made on {L4}, not {H200}"),
    ],
    ids=["another TensorRT", "another GPU"],
)
def test_a_plan_that_fits_no_gpu_is_refused_with_the_mend(model: ModelFolder, here: Place, reason: str) -> None:
    told = f"tiny: version 1 does not load on {here}: model.plan was {reason}. Compile it there from model.graph.onnx: "
    with pytest.raises(StartupFailed) as caught:
        refuse_misfits((model,), (here,))
    assert str(caught.value) == f"{told}engineroom models engines tiny, or engineroom serve --engines"


def test_a_plan_that_was_cut_short_is_refused(model: ModelFolder) -> None:
    (model.version(1) / "model.plan").write_bytes(b"pl")
    with pytest.raises(
        StartupFailed, match=r"model\.plan is 2 bytes long, not the 4 that the manifest describes\. Comp"
    ):
        refuse_misfits((model,), (Place(L4, "11.2.1"),))


def test_golden_answers_that_were_cut_short_are_refused(model: ModelFolder) -> None:
    golden = model.version(1) / GOLDEN
    golden.write_bytes(golden.read_bytes()[:100])
    with pytest.raises(StartupFailed, match=r"golden\.npz is not the file that .* Run: engineroom build tiny --force$"):
        refuse_misfits((model,), (Place(L4, "11.2.1"),))


def test_each_gpu_is_served_by_its_own_engine_of_one_version(model: ModelFolder) -> None:
    version = model.version(1)
    passport = passport_from_file(version / MANIFEST)
    (version / "model.sm90.plan").write_bytes(b"plan")
    engine = replace(passport.artefacts[0], file="model.sm90.plan", device=H200)
    (version / MANIFEST).write_text(replace(passport, artefacts=(*passport.artefacts, engine)).to_json())
    with pytest.raises(
        StartupFailed, match=r"In config\.pbtxt, name model\.sm90\.plan, which loads there: cc_model_file"
    ):
        refuse_misfits((model,), (Place(H200, "11.2.1"),))
    wire(model, "model.sm90.plan", "sm90")
    for gpu in (L4, H200):
        refuse_misfits((model,), (Place(gpu, "11.2.1"),))
    with pytest.raises(StartupFailed, match=r"engineroom serve --engines$"):
        refuse_misfits((model,), (Place("NVIDIA RTX 6000, compute capability 12.0", "11.2.1"),))


def test_a_configuration_of_a_newer_triton_is_left_to_triton(model: ModelFolder) -> None:
    model.config.write_text(f"{model.config.read_text()}\nfield_of_the_future: 1\n")
    refuse_misfits((model,), (Place(H200, "11.2.1"),))
