import os
import subprocess
import sys

import pytest

from engineroom.serve import leftovers


@pytest.fixture
def dead():
    """A process id that was in use and is not any more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.fixture
def region(request):
    def make(name):
        path = leftovers.SHARED_MEMORY / f"{name}_region"
        path.write_bytes(b"left")
        request.addfinalizer(lambda: path.unlink(missing_ok=True))
        return path

    return make


def test_what_a_dead_process_left_is_swept(dead, region):
    name = f"{leftovers.PREFIX}{dead}_abcd1234"
    path, folder = region(name), leftovers.make_run_folder(name)
    assert name in leftovers.sweep()
    assert not path.exists()
    assert not folder.exists()


def test_what_belongs_to_a_living_process_stays(region):
    path = region(leftovers.new_name())
    assert not any(str(os.getpid()) in name for name in leftovers.sweep())
    assert path.exists()


def test_what_a_server_still_uses_stays_though_its_starter_is_dead(dead, region):
    name = f"{leftovers.PREFIX}{dead}_abcd1234"
    path = region(name)
    with subprocess.Popen(
        [sys.executable, "-c", "input()", f"shm-region-prefix-name={name}_"], stdin=subprocess.PIPE
    ) as user:
        assert name not in leftovers.sweep()
        user.communicate(b"\n")
    assert path.exists()
    assert name in leftovers.sweep()


def test_another_server_of_the_same_process_is_not_touched(region):
    mine, other = region(leftovers.new_name()), region(leftovers.new_name())
    leftovers.remove(mine.name.removesuffix("_region"))
    assert not mine.exists()
    assert other.exists()
