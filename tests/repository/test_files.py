"""Files appear whole or not at all."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from engineroom.repository.files import sha256, write_atomically


def test_text_and_bytes_are_written_with_their_folder(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "text", "é\n")
    write_atomically(tmp_path / "a" / "bytes", b"\0\1")
    assert (tmp_path / "a" / "b" / "text").read_bytes() == "é\n".encode()
    assert (tmp_path / "a" / "bytes").read_bytes() == b"\0\1"


def test_server_of_another_user_may_read(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "x")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_failure_leaves_the_file_before_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "file", "before")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", "after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "before"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1])
def test_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
