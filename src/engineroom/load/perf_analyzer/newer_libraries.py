"""The C library of a newer release of the same distribution, beside the system's own, by `apt-get` alone.

Nothing of the system changes: apt works with a configuration, package lists and a cache of its own, in a folder
that is deleted afterwards. The packages come from the machine's own sources, with the release's name replaced, and are
checked by apt against the machine's own keys.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from engineroom.errors import ToolMissing

NEWER = {"bookworm": "trixie", "jammy": "noble"}
"""Release to the next one with glibc 2.38 or newer."""

PACKAGES = ("libc6", "libstdc++6", "libgcc-s1", "zlib1g", "libssl3t64")
"""They hold what the binary is linked with, by `readelf -d`."""

CONTAINER = "Use the perf_analyzer in NVIDIA's Triton SDK container instead."


def fetch_newer_libraries(into: Path, work: Path) -> None:
    """Put the loader and libraries of the next release into a folder.

    Args:
        into: Folder to make; gets the files themselves, without subfolders or links.
        work: Empty folder for apt's lists and packages.

    Raises:
        ToolMissing: There is no apt, the release is not one of `NEWER`, or the packages cannot be had.
    """
    for program in ("apt-get", "apt-config", "dpkg-deb"):
        if not shutil.which(program):
            raise ToolMissing(
                f"perf_analyzer needs glibc 2.38, and {program} is not here to fetch a newer one beside the system's. "
                f"{CONTAINER}"
            )
    release = codename()
    newer = NEWER.get(release)
    if not newer:
        known = ", ".join(NEWER)
        raise ToolMissing(f"perf_analyzer needs glibc 2.38, and '{release}' is none of {known}. {CONTAINER}")
    _download(work, release, newer)
    _unpack(work, into)


def codename(os_release: Path = Path("/etc/os-release")) -> str:
    """The distribution release's name, such as `bookworm`; empty where the system has none."""
    if not os_release.is_file():
        return ""
    found = re.search(r"^VERSION_CODENAME=\"?([\w-]+)", os_release.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def deb822_for_release(text: str, release: str, newer: str) -> str:
    """A `.sources` file, with its entries for one release rewritten to another and all other entries left out."""
    kept = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields = re.search(r"^Suites:(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE | re.IGNORECASE)
        suites = [suite for suite in (fields[1].split() if fields else []) if _is_of(suite, release)]
        if fields and suites:
            renamed = " ".join(suite.replace(release, newer, 1) for suite in suites)
            entry = paragraph[: fields.start()] + f"Suites: {renamed}" + paragraph[fields.end() :]
            kept.append(re.sub(r"^Types:.*$", "Types: deb", entry, flags=re.MULTILINE | re.IGNORECASE))
    return "\n\n".join(kept) + "\n" if kept else ""


def one_line_for_release(text: str, release: str, newer: str) -> str:
    """A `.list` file, with its lines for one release rewritten to another and all other lines left out."""
    line = re.compile(r"^\s*deb\s+(?P<options>\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)$", re.M)
    return "".join(
        f"deb {found['options'] or ''}{found['uri']} {found['suite'].replace(release, newer, 1)}{found['components']}\n"
        for found in line.finditer(text)
        if _is_of(found["suite"], release)
    )


def _is_of(suite: str, release: str) -> bool:
    return suite in {release, f"{release}-updates", f"{release}-security"}


def _download(work: Path, release: str, newer: str) -> None:
    config = _apt_config(work)
    sources = _write_sources(work, release, newer)
    if not sources:
        raise ToolMissing(f"perf_analyzer needs glibc 2.38, and apt has no source for '{release}' here. {CONTAINER}")
    packages = work / "packages"
    packages.mkdir()
    # A foreign repository without the newer release fails the update; what matters is whether the packages come.
    update = _apt(["apt-get", "update"], config, packages)
    download = _apt(["apt-get", "download", *PACKAGES], config, packages)
    if download.returncode != 0:
        lines = (update.stderr + download.stderr).strip().splitlines()
        reason = next((text for text in lines if text.startswith(("E:", "Err"))), "no reason given")
        raise ToolMissing(
            f"perf_analyzer needs glibc 2.38 of '{newer}', and apt-get cannot fetch it: {reason} {CONTAINER}"
        )


def _apt_config(work: Path) -> Path:
    """The machine's configuration (proxies, certificates) with private folders and without the system's hooks."""
    system = _apt(["apt-config", "dump"], None, work).stdout
    hooks = ("APT::Update::", "DPkg::", "Dir::State", "Dir::Cache", "Dir::Etc", "APT::Default-Release")
    kept = [line for line in system.splitlines() if not line.startswith(hooks)]
    for folder in ("lists/partial", "archives/partial", "sources.list.d", "parts"):
        (work / folder).mkdir(parents=True)
    private = {
        "Dir::State": work,
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": work / "parts",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": work / "parts",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": work / "sources.list.d",
        # The folder is the user's alone, so apt's own unprivileged user could not read it.
        "APT::Sandbox::User": "root",
    }
    (work / "status").touch()
    path = work / "apt.conf"
    path.write_text(
        "\n".join(kept + [f'{name} "{value}";' for name, value in private.items()]) + "\n", encoding="utf-8"
    )
    return path


def _write_sources(work: Path, release: str, newer: str) -> int:
    dump = _apt(
        ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"], None, work
    )
    named = dict(re.findall(r"^(LIST|PARTS)='([^']*)'", dump.stdout, re.MULTILINE))
    files = [Path(named.get("LIST", "/etc/apt/sources.list"))]
    files += sorted(Path(named.get("PARTS", "/etc/apt/sources.list.d")).glob("*"))
    count = 0
    for path in files:
        rewrite = {".list": one_line_for_release, ".sources": deb822_for_release}.get(path.suffix)
        text = rewrite(path.read_text(encoding="utf-8"), release, newer) if rewrite and path.is_file() else ""
        if text:
            (work / "sources.list.d" / f"{count}{path.suffix}").write_text(text, encoding="utf-8")
            count += 1
    return count


def _apt(command: list[str], config: Path | None, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    if config:
        environment["APT_CONFIG"] = str(config)
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"perf_analyzer needs glibc 2.38, and {command[0]} failed: {error}. {CONTAINER}") from error


def _unpack(work: Path, into: Path) -> None:
    root = work / "root"
    for package in sorted((work / "packages").glob("*.deb")):
        answer = _apt(["dpkg-deb", "-x", str(package), str(root)], None, work)
        if answer.returncode != 0:
            raise ToolMissing(f"{package.name} cannot be unpacked: {answer.stderr.strip()} {CONTAINER}")
    into.mkdir(parents=True)
    # Both layouts: /lib before the merge with /usr, /usr/lib after it.
    for folder in root.glob("**/x86_64-linux-gnu"):
        for library in folder.glob("*.so.*"):
            if library.suffix != ".py":
                shutil.copy(library, into / library.name)
