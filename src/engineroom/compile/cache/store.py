"""The build cache: what each stage made, kept under a digest of what it was made from.

.engineroom/cache/MODEL/STAGE/KEY/     one result: the files of the stage, and `stage.json`

An entry appears in one step and is never changed; its files are digested again before they are used, so one that was
cut short or edited counts as missing. All of it can be deleted at any time.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engineroom.repository.documents import known
from engineroom.repository.files import sha256

ABOUT = "stage.json"
"""What an entry is: its inputs, its files' digests, and what the stage found out."""

SCHEMA = 1

KEPT = 5
"""Results of one stage that are kept: those used last. Enough to go back and forth between a few settings."""

KEPT_DAYS = 30
"""A result that nobody used for so long goes too, unless it is the stage's last."""


@dataclass(frozen=True)
class Made:
    """What a stage found out, besides the files that it wrote.

    Attributes:
        note: What a reader of the build should know.
        digests: Digests of parts of it that later stages depend on, by name.
        facts: All else, as JSON.
    """

    note: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One stage's result.

    Attributes:
        folder: Where its files are.
        stage: Name of the stage.
        inputs: What it was made from: name, and version, setting or digest.
        files: Digest of each file, by name.
        seconds: Time the stage took when it ran.
        made: What it found out.
        size_bytes: Size of the files.
    """

    folder: Path
    stage: str
    inputs: Mapping[str, str]
    files: Mapping[str, str]
    seconds: float
    made: Made
    size_bytes: int

    def digests(self, name: str = "") -> dict[str, str]:
        """What a later stage depends on: one named digest, or all of them and those of the files."""
        return {name: self.made.digests[name]} if name else {**self.made.digests, **self.files}

    def path(self, name: str) -> Path:
        """One of its files."""
        return self.folder / name

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of its files, by name."""
        return tuple(self.folder / name for name in sorted(self.files))


@dataclass(frozen=True)
class Cache:
    """The results of one model's stages.

    Two builds may use it at once: entries appear whole, and the one that comes second replaces an equal one.

    Attributes:
        folder: Where they are.
    """

    folder: Path

    def find(self, stage: str, inputs: Mapping[str, str]) -> Entry | None:
        """The result of a stage from these inputs; None where there is none, or a damaged one."""
        entry = _entry(self._folder(stage) / key(stage, inputs))
        whole = entry and all(_digest(path) == entry.files[path.name] for path in entry.paths)
        return entry if whole else None

    def last(self, stage: str) -> Entry | None:
        """The result of a stage that was used last."""
        return next(iter(self._entries(stage)), None)

    def use(self, entry: Entry) -> Entry:
        """Note that an entry was used now, which makes it the last to be dropped."""
        os.utime(entry.folder / ABOUT)
        return entry

    def workplace(self, stage: str) -> Path:
        """An empty folder for a stage to work in; what killed builds left there is removed."""
        folder = self._folder(stage)
        for path in folder.glob(".work-*"):
            if not Path(f"/proc/{path.name.removeprefix('.work-')}").exists():
                shutil.rmtree(path, ignore_errors=True)
        place = folder / f".work-{os.getpid()}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def keep(self, place: Path, stage: str, inputs: Mapping[str, str], seconds: float, made: Made) -> Entry:
        """Make the files of a workplace an entry; older results of the stage may be dropped.

        Args:
            place: From `workplace`; it is gone afterwards.
            stage: Name of the stage.
            inputs: What it was made from.
            seconds: Time it took.
            made: What it found out.
        """
        paths = sorted(path for path in place.iterdir() if path.is_file())
        about = {
            "schema": SCHEMA,
            "stage": stage,
            "inputs": dict(inputs),
            "files": {path.name: sha256(path) for path in paths},
            "size_bytes": sum(path.stat().st_size for path in paths),
            "seconds": round(seconds, 3),
            "made": asdict(made),
        }
        (place / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        folder = self._folder(stage) / key(stage, inputs)
        _replace(place, folder)
        self._drop_old(stage)
        return _entry_from(about, folder)

    def _folder(self, stage: str) -> Path:
        return self.folder / re.sub(r"[^\w.]+", "-", stage)

    def _entries(self, stage: str) -> Iterator[Entry]:
        """Results of a stage, the one used last first."""
        found = [(_used_ns(path), path.parent) for path in self._folder(stage).glob(f"[!.]*/{ABOUT}")]
        for _, folder in sorted(found, reverse=True):
            if entry := _entry(folder):
                yield entry

    def _drop_old(self, stage: str) -> None:
        oldest_ns = time.time_ns() - KEPT_DAYS * 24 * 3600 * 10**9
        for place, entry in enumerate(self._entries(stage)):
            if place >= KEPT or (place and _used_ns(entry.folder / ABOUT) < oldest_ns):
                shutil.rmtree(entry.folder, ignore_errors=True)


def key(stage: str, inputs: Mapping[str, str]) -> str:
    """The name of a stage's result from these inputs: half a SHA-256, in hexadecimal."""
    return hashlib.sha256(json.dumps([SCHEMA, stage, sorted(inputs.items())]).encode()).hexdigest()[:32]


def _entry(folder: Path) -> Entry | None:
    try:
        raw = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return _entry_from(raw, folder) if raw["schema"] == SCHEMA else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _entry_from(raw: dict[str, Any], folder: Path) -> Entry:
    return Entry(folder=folder, **{**known(Entry, raw), "made": Made(**raw["made"])})


def _used_ns(about: Path) -> int:
    """When an entry was used last; 0 for one that is gone."""
    try:
        return about.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError:
        return ""


def _replace(place: Path, folder: Path) -> None:
    """Rename a folder into place; one that is there goes."""
    aside = place.with_name(f"{place.name}-old")
    while True:
        try:
            place.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # Whoever else keeps the same result may have moved it by now.
            with contextlib.suppress(FileNotFoundError):
                folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            return
