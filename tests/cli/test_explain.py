"""`engineroom config explain` and `diff` as commands."""

import json

import pytest


@pytest.fixture(scope="module")
def model(publish_tiny, tmp_path_factory):
    return publish_tiny(tmp_path_factory.mktemp("project") / "model_repository", on_cpu=True)


@pytest.fixture(autouse=True)
def here(model, monkeypatch):
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(model.path.parent.parent))


def test_explain_prints_every_part(engineroom, model):
    status, out, _ = engineroom("config", "explain", "tiny", "--variant", "cpu")
    assert status == 0
    for part in ("   4  max_batch_size: 4\n", "Not set:", "Memory, once it is loaded:", "What a change would do:"):
        assert part in out
    assert max(map(len, out.splitlines()[1:])) <= 110


def test_explain_takes_a_file(engineroom, model, tmp_path):
    (tmp_path / "try.pbtxt").write_text(model.cpu_config.read_text().replace("max_batch_size: 4", "max_batch_size: 2"))
    status, out, _ = engineroom("config", "explain", "tiny", "--variant", str(tmp_path / "try.pbtxt"), "--json")
    assert status == 0
    assert {"path": "max_batch_size", "value": "2"}.items() <= json.loads(out)["set"][2].items()


def test_diff_of_files_says_lines_meaning_and_sum(engineroom, model, tmp_path):
    other = tmp_path / "other.pbtxt"
    other.write_text(model.cpu_config.read_text() + "dynamic_batching { }\n")
    status, out, _ = engineroom("config", "diff", str(model.cpu_config), str(other))
    assert status == 0
    assert "+dynamic_batching { }" in out
    assert "needs a reload" in out
    assert out.splitlines()[-1] == "1 change, together they need a reload, callers notice nothing"


def test_diff_of_a_name_compares_its_variants(engineroom, model):
    status, out, _ = engineroom("config", "diff", "tiny", "--json")
    found = json.loads(out)
    assert (status, found["before"], found["after"]) == (0, "tiny/config.pbtxt", "tiny/configs/cpu.pbtxt")
    assert {"platform", "backend"} == {change["path"] for change in found["changes"]}


def test_an_unknown_model_is_told_and_ends_with_1(engineroom, model):
    status, _, told = engineroom("config", "explain", "nobody")
    assert (status, "It holds: tiny" in told) == (1, True)
