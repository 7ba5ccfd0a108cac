"""Servers of this machine, found by the repository that they serve; and what is put in order before one starts."""

from dataclasses import replace
from pathlib import Path

from engineroom.repository.history import Change, history, record
from engineroom.repository.journal import begin, held
from engineroom.serve.found import SERVER, Running, announce, servers_of
from engineroom.serve.leftovers import make_run_folder, new_name, remove
from engineroom.serve.server import ServerOptions, put_in_order, running


def test_a_server_is_found_while_it_runs(publish_tiny, tmp_path: Path) -> None:
    model = publish_tiny(tmp_path / "models", on_cpu=True)
    assert servers_of(tmp_path / "models") == ()
    with running(ServerOptions(tmp_path / "models")) as server:
        (found,) = servers_of(tmp_path / "models")
        assert (found.http, found.grpc, found.pid, found.config) == (server.http, server.grpc, server.pid, "cpu")
        assert found.texts == {"tiny": model.cpu_config.read_text()}
        assert servers_of(tmp_path) == ()
    assert servers_of(tmp_path / "models") == ()


def test_what_is_no_server_is_passed_over(tmp_path: Path) -> None:
    name = new_name()
    run = make_run_folder(name)
    try:
        (run / SERVER).write_text('{"http": "a"}')
        assert servers_of(tmp_path) == ()
        announce(run, Running("h", "g", "m", 1, "log", str(tmp_path.resolve()), ""))
        assert [one.http for one in servers_of(tmp_path)] == ["h"]
    finally:
        remove(name)


def test_what_was_left_in_the_middle_is_taken_back_before_serving(publish_tiny, tmp_path: Path) -> None:
    model = publish_tiny(tmp_path)
    before = model.config.read_text()
    change = record("apply", "taken back", changes={"config.pbtxt": Change(before, "half")})
    begin(model, change)
    model.config.write_text("half")
    with held(model, "apply", "second@host"):
        put_in_order((model,))
        assert model.config.read_text() == "half"
    put_in_order((model,))
    assert model.config.read_text() == before
    assert [one.outcome for one in history(model)] == ["taken back"]
    assert replace(history(model)[0], reason="", number=0) == change
