"""A version appears whole or not at all, whatever happens to the disk, the process or the neighbours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engineroom.errors import RepositoryError
from engineroom.repository.layout import ModelFolder
from engineroom.repository.publish import STAGING, publish, sweep

FILES = {"model.xml": b"<net/>", "model.bin": b"w" * 5000, "manifest.json": b"{}"}

NOBODY = 4_194_305
"""One above the largest process number that Linux gives (PID_MAX_LIMIT, 2**22)."""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    work = tmp_path / "work"
    work.mkdir()
    for name, content in FILES.items():
        (work / name).write_bytes(content)
    return [work / name for name in FILES]


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "repository" / "tiny")


def content(folder: ModelFolder) -> dict[str, dict[str, bytes]]:
    """Everything in the model's folder: file content by folder and file name."""
    return {path.name: {file.name: file.read_bytes() for file in path.iterdir()} for path in folder.path.iterdir()}


HEAD = f"""
import json, os, resource, signal, sys
from pathlib import Path
from engineroom.errors import EngineRoomError
from engineroom.repository.layout import ModelFolder
from engineroom.repository.publish import publish
folder = ModelFolder(Path(sys.argv[1]))
files = [Path(sys.argv[2]) / name for name in {list(FILES)!r}]
"""
"""What every program below begins with: the model's folder, and the files to publish."""


def started(code: str, folder: ModelFolder, files: list[Path]) -> subprocess.Popen[str]:
    """A process of its own that runs `code`."""
    command = [sys.executable, "-c", HEAD + code, str(folder.path), str(files[0].parent)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def said(process: subprocess.Popen[str]) -> str:
    """What a process printed, once it ended well."""
    out, err = process.communicate("go\n", timeout=60)
    assert process.returncode == 0, err
    return out


def test_versions_count_up_and_hold_every_file(folder: ModelFolder, files: list[Path]) -> None:
    assert [publish(folder, files) for _ in range(3)] == [1, 2, 3]
    assert content(folder) == {"1": FILES, "2": FILES, "3": FILES}


def test_number_after_the_latest_is_taken_even_where_earlier_ones_are_free(
    folder: ModelFolder, files: list[Path]
) -> None:
    folder.version(7).mkdir(parents=True)
    assert publish(folder, files) == 8


def test_missing_file_publishes_nothing(folder: ModelFolder, files: list[Path]) -> None:
    publish(folder, files)
    with pytest.raises(RepositoryError, match=r"tiny: cannot write .*gone: No such file .* Version 1 stays published"):
        publish(folder, [*files, files[0].with_name("gone")])
    assert content(folder) == {"1": FILES}


def test_folder_that_cannot_be_written_publishes_nothing(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "repository").write_text("a file where the folder should be")
    folder = ModelFolder(tmp_path / "repository" / "tiny")
    with pytest.raises(RepositoryError, match=r"tiny: cannot write .*Nothing is published yet\. Free space or mend"):
        publish(folder, files)


LIMITED = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    publish(folder, files)
except EngineRoomError as error:
    print(error)
"""


def test_disk_that_takes_no_more_publishes_nothing(folder: ModelFolder, files: list[Path]) -> None:
    """The kernel refuses to write beyond 1,000 bytes a file, as a full disk refuses the rest of one."""
    publish(folder, files)
    message = said(started(LIMITED, folder, files))
    assert message.startswith("tiny: cannot write ")
    assert "File too large. Version 1 stays published. Free space or mend the rights of the folder" in message
    assert content(folder) == {"1": FILES}


KILLED_AT_EACH_STEP = """
states = []
for step in range(1, 1000):
    child = os.fork()
    if child == 0:
        seen = 0
        def die(event, arguments):
            global seen
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(die)
        publish(folder, files)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    states.append([os.WIFSIGNALED(status), sorted(path.name for path in folder.path.iterdir())])
    if status == 0:
        break
print(json.dumps(states))
"""


def test_kill_at_any_step_leaves_the_versions_before_or_a_whole_new_one(folder: ModelFolder, files: list[Path]) -> None:
    """A process is killed at its first action in `publish`, another at its second, and so on to the last."""
    publish(folder, files)
    states = json.loads(said(started(KILLED_AT_EACH_STEP, folder, files)))
    assert len(states) > 15
    assert [killed for killed, _ in states] == [True] * (len(states) - 1) + [False]
    assert any(name.startswith(STAGING) for _, names in states for name in names)
    present = {name: files for name, files in content(folder).items() if not name.startswith(STAGING)}
    assert set(map(int, present)) == set(range(1, len(present) + 1))
    assert all(version == FILES for version in present.values())
    # What the killed left behind is swept by the next one, and by one alone.
    assert sum(name.startswith(STAGING) for name in states[-1][1]) == 0


def test_publishing_at_once_gives_different_numbers_and_whole_versions(folder: ModelFolder, files: list[Path]) -> None:
    code = "sys.stdin.readline()\nprint(json.dumps([publish(folder, files) for _ in range(20)]))"
    processes = [started(code, folder, files) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    numbers = [number for process in processes for number in json.loads(said(process))]
    assert sorted(numbers) == list(range(1, 61))
    assert content(folder) == {str(number): FILES for number in numbers}


def test_sweep_leaves_what_a_living_process_stages(folder: ModelFolder) -> None:
    living, dead = folder.path / f"{STAGING}{os.getppid()}", folder.path / f"{STAGING}{NOBODY}"
    for path in (living, dead):
        path.mkdir(parents=True)
        (path / "model.bin").write_bytes(b"half")
    sweep(folder)
    assert list(folder.path.iterdir()) == [living]
