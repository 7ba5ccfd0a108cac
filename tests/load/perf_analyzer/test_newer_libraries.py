import pytest

from engineroom.errors import ToolMissing
from engineroom.load.perf_analyzer import newer_libraries
from engineroom.load.perf_analyzer.newer_libraries import (
    codename,
    deb822_for_release,
    fetch_newer_libraries,
    one_line_for_release,
)

DEB822 = """\
# the mirror of the house
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
  bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://tools.example/apt
Suites: stable
Components: main
"""


def test_deb822_keeps_mirror_and_keys_of_the_release_alone():
    assert deb822_for_release(DEB822, "bookworm", "trixie") == (
        "# the mirror of the house\n"
        "Types: deb\n"
        "URIs: http://mirror.example/debian\n"
        "Suites: trixie trixie-updates\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            "deb http://mirror.example/ubuntu jammy main universe",
            "deb http://mirror.example/ubuntu noble main universe\n",
            id="plain",
        ),
        pytest.param(
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/ubuntu jammy-security main",
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/ubuntu noble-security main\n",
            id="with options",
        ),
        pytest.param("deb-src http://mirror.example/ubuntu jammy main", "", id="sources of programs"),
        pytest.param("# deb http://mirror.example/ubuntu jammy main", "", id="comment"),
        pytest.param("deb http://tools.example/apt cloud-jammy main", "", id="foreign repository"),
        pytest.param("deb http://mirror.example/ubuntu jammy-backports main", "", id="backports"),
    ],
)
def test_one_line_sources(line, expected):
    assert one_line_for_release(line + "\n", "jammy", "noble") == expected


def test_a_file_without_the_release_comes_to_nothing():
    assert deb822_for_release(DEB822, "jammy", "noble") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "bookworm"),
        ('VERSION_CODENAME="jammy"\n', "jammy"),
        ("ID=arch\n", ""),
    ],
)
def test_codename(tmp_path, text, expected):
    path = tmp_path / "os-release"
    path.write_text(text)
    assert codename(path) == expected
    assert codename(tmp_path / "missing") == ""


def test_a_system_without_apt(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissing, match=r"apt-get is not here .* SDK container"):
        fetch_newer_libraries(tmp_path / "lib", tmp_path)


def test_a_release_nobody_knows_a_successor_of(tmp_path, monkeypatch):
    monkeypatch.setattr(newer_libraries.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(newer_libraries, "codename", lambda: "woody")
    with pytest.raises(ToolMissing, match="'woody' is none of bookworm, jammy"):
        fetch_newer_libraries(tmp_path / "lib", tmp_path)
    assert not (tmp_path / "lib").exists()
