"""The manifest: what is written is read again, and what is no manifest is said to be none."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engineroom import Axis, Recipe, Tensor
from engineroom.errors import RepositoryError
from engineroom.repository.agreement import Limits
from engineroom.repository.passport import SCHEMA, Artefact, Parity, Passport, Profile, passport_from_file

RECIPE = Recipe(
    name="tiny",
    module=lambda: None,
    inputs=(Tensor("ids", "int64", (Axis("tokens", 2, 16, 64), 3)),),
    outputs=(Tensor("y", "float32", (4,)),),
    samples=list,
    batch=Axis("batch", 1, 8, 32),
)

PASSPORT = Passport(
    model="tiny",
    fingerprint="abc",
    built_at="2026-01-01T00:00:00+00:00",
    command="engineroom build tiny",
    profile=Profile.of(RECIPE),
    limits={"y": Limits(max_abs=0.01, cosine=0.99)},
    libraries={"torch": "2.13.0"},
    machine={"gpu": "no"},
    artefacts=(
        Artefact(
            "model.xml", "openvino", 10, "ab", "openvino 2026.4.1", 0.1,
            proven=("f32", "bf16"), companions={"model.bin": "ba"},
            parity=(Parity("openvino f32", (1, 2), 0.1, 0.01, 0.99, 1.0, {"accuracy": 0.9}),),
        ),
        Artefact("model.plan", "tensorrt", 10, "cd", "tensorrt 11.4", 0.1, {"HALF": 3}, device="NVIDIA L4"),
        Artefact(
            "model.sm90.plan", "tensorrt", 10, "ef", "tensorrt 11.4", 0.1, {"HALF": 3},
            device="NVIDIA H200, compute capability 9.0", driver="580.95.05, CUDA 13.0",
        ),
        Artefact("model.rtx-sm89.plan", "tensorrt-rtx:sm89", 10, "01", "tensorrt_rtx 1.7", 0.1, {"HALF": 3}),
    ),
    files={"golden.npz": "23"},
    seconds={"export": 1.5},
)  # fmt: skip


def changed(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps({**json.loads(PASSPORT.to_json()), **changes}))
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(PASSPORT.to_json())
    assert passport_from_file(tmp_path / "manifest.json") == PASSPORT


def test_profile_is_the_smallest_usual_and_largest_request() -> None:
    assert Profile.of(RECIPE) == Profile("fp16", {"ids": ((1, 2, 3), (8, 16, 3), (32, 64, 3))})


def test_artefact_by_target() -> None:
    assert PASSPORT.artefact("openvino") == PASSPORT.artefacts[0]
    assert PASSPORT.artefact("tensorrt-rtx:sm120") is None


@pytest.mark.parametrize(
    ("target", "capability", "file"),
    [
        ("tensorrt", None, "model.plan"),
        ("tensorrt", "", "model.plan"),
        ("tensorrt", "sm90", "model.sm90.plan"),
        ("tensorrt-rtx:sm89", "sm89", "model.rtx-sm89.plan"),
    ],
    ids=["the first", "of an unknown GPU", "of one of several", "for RTX"],
)
def test_artefact_by_the_gpu_it_is_tied_to(target: str, capability: str | None, file: str) -> None:
    found = PASSPORT.artefact(target, capability)
    assert found is not None
    assert found.file == file
    assert PASSPORT.artefact("tensorrt", "sm120") is None


def test_fields_that_a_later_engineroom_added_are_ignored(tmp_path: Path) -> None:
    raw = json.loads(PASSPORT.to_json())
    raw["mood"] = raw["limits"]["y"]["mood"] = raw["artefacts"][0]["mood"] = raw["artefacts"][0]["parity"][0][
        "mood"
    ] = 1
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(raw))
    assert passport_from_file(path) == PASSPORT


def test_newer_schema_asks_for_a_newer_engineroom(tmp_path: Path) -> None:
    path = changed(tmp_path / "manifest.json", schema=SCHEMA + 1)
    with pytest.raises(RepositoryError, match=rf"has schema {SCHEMA + 1}, this .* up to {SCHEMA}\. Update engineroom"):
        passport_from_file(path)


def test_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"manifest\.json: cannot be read \(No such file or directory\)\. Build"):
        passport_from_file(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PASSPORT.to_json()[:100], "is not JSON"),
        ("", "is not JSON"),
        ("[1, 2]", "is not a manifest, it has no 'schema'"),
        ('{"schema": "1"}', "is not a manifest, it has no 'schema'"),
        ('{"schema": 1}', r"lacks or misnames a field \('artefacts'\)"),
    ],
    ids=["half", "empty", "list", "schema is text", "nothing but a schema"],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(RepositoryError, match=rf"manifest\.json: {message}.*Build the model again"):
        passport_from_file(path)


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [1], {"x": 1}], ids=repr)
@pytest.mark.parametrize("name", ["profile", "limits", "artefacts"])
def test_damaged_field_is_a_passport_or_our_error(tmp_path: Path, name: str, value: Any) -> None:
    path = changed(tmp_path / "manifest.json", **{name: value})
    with contextlib.suppress(RepositoryError):
        assert isinstance(passport_from_file(path), Passport)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RepositoryError, match="is not JSON"):
        passport_from_file(path)


def test_empty_profile_of_a_passport_survives(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    bare = replace(PASSPORT, artefacts=(), profile=Profile("fp32", {}))
    path.write_text(bare.to_json())
    assert passport_from_file(path) == bare
