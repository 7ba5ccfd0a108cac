"""Whatever stands in the files, or does not: it is told, and nothing is raised."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.lint import lint_model


@pytest.fixture
def model(lay_out: Callable[..., ModelFolder], rule_cases: dict[str, Any], tmp_path: Path) -> ModelFolder:
    return lay_out(tmp_path, "tiny", rule_cases["ER404-1"].good)


def codes(model: ModelFolder) -> dict[str, tuple[int, str]]:
    return {one.code: (one.line, one.severity) for one in lint_model(model) if one.severity != "note"}


def test_good_model_has_nothing_to_say(model: ModelFolder) -> None:
    assert codes(model) == {}


def test_missing_configuration_names_what_lies_there(model: ModelFolder) -> None:
    model.cpu_config.rename(model.path / "config.pbtxt.txt")
    (found,) = (one for one in lint_model(model) if one.code == "ER101")
    assert (found.file, found.line, found.severity) == (model.config, 1, "error")
    assert "config.pbtxt.txt" not in found.reason
    model.path.joinpath("config.pbtxt.txt").rename(model.path / "config.pb")
    assert any("config.pb" in one.mend for one in lint_model(model))


def test_folder_instead_of_a_configuration(model: ModelFolder) -> None:
    model.config.mkdir()
    assert codes(model)["ER101"] == (1, "error")


def test_model_that_is_not_there(tmp_path: Path) -> None:
    assert "ER101" in codes(ModelFolder(tmp_path / "nothing"))


@pytest.mark.parametrize(("encoding", "code"), [("utf-16", "ER102"), ("utf-8-sig", "ER103")])
def test_other_encodings(model: ModelFolder, encoding: str, code: str) -> None:
    model.cpu_config.write_bytes(model.cpu_config.read_text().encode(encoding))
    assert codes(model) == {code: (1, "error")}


def test_letters_of_another_encoding_are_placed(model: ModelFolder) -> None:
    text = model.cpu_config.read_text() + "# caf\xe9\n"
    model.cpu_config.write_bytes(text.encode("latin-1"))
    assert codes(model) == {"ER102": (text.count("\n"), "warning")}


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff\xfe", b"\xff\xfe\x00", b"{" * 500, b"\xef\xbb\xbf", b"name: [", b'a { b: "', b"\n" * 100, b"1: 2"],
    ids=repr,
)
def test_anything_at_all_is_told(model: ModelFolder, content: bytes) -> None:
    model.cpu_config.write_bytes(content)
    found = lint_model(model)
    assert any(one.severity == "error" for one in found)
    assert all(one.line >= 1 and one.column >= 1 for one in found)


@pytest.mark.parametrize("name", ["manifest.json", "golden.npz"])
def test_broken_version_does_not_stop_the_check(model: ModelFolder, name: str) -> None:
    (model.version(1) / name).write_text("{")
    assert codes(model) == {}


def test_texts_are_checked_instead_of_files(model: ModelFolder) -> None:
    text = model.cpu_config.read_text().replace("max_batch_size: 4", "max_batch_size: 2")
    found = lint_model(model, texts={model.cpu_config: text})
    assert {one.code for one in found if one.severity == "error"} == {"ER404"}
    assert codes(model) == {}


def test_findings_come_by_file_and_line(model: ModelFolder) -> None:
    model.config.write_text("a: 1\nb: 2\n")
    model.cpu_config.write_text("a: 1\nb: 2\n")
    places = [(str(one.file), one.line) for one in lint_model(model)]
    assert places == sorted(places)
    assert len({file for file, _ in places}) == 2
