"""What stands here: a model's files with their digests, checked against the passports."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engineroom.errors import RepositoryError, StoreError
from engineroom.repository.files import sha256
from engineroom.repository.layout import MANIFEST, ModelFolder
from engineroom.repository.passport import passport_from_file
from engineroom.store.documents import NUMBER, Blob, Files, ModelState, blob_from_content


@dataclass(frozen=True)
class Selection:
    """Which versions are meant.

    Attributes:
        last: So many of the newest; None for all.
        numbers: These, where any are named.
    """

    last: int | None = None
    numbers: frozenset[int] = frozenset()

    def of(self, versions: Iterable[int]) -> frozenset[int]:
        """Those of a model's versions that are meant."""
        there = sorted(versions)
        if self.numbers:
            return self.numbers.intersection(there)
        return frozenset(there if self.last is None else there[len(there) - min(self.last, len(there)) :])


@dataclass(frozen=True)
class Local:
    """A model as it stands here.

    Attributes:
        model: Its folder.
        state: Its files, and the versions that are meant.
        texts: Content of the files outside the versions, as it was read.
        versions: Numbers of all its versions.
    """

    model: ModelFolder
    state: ModelState
    texts: Mapping[str, bytes] = field(default_factory=dict)
    versions: frozenset[int] = frozenset()

    def source(self, blob: Blob) -> Path | bytes:
        """Where the content of a blob comes from."""
        for path, content in self.texts.items():
            if self.state.files[path] == blob:
                return content
        return next(
            self.model.version(number) / path
            for number, files in self.state.versions.items()
            for path, one in files.items()
            if one == blob
        )


def local_model(model: ModelFolder, selection: Selection, theirs: ModelState | None) -> Local:
    """Read a model.

    Args:
        model: Its folder.
        selection: The versions that are meant.
        theirs: What the store has of it: a version with the same manifest and sizes is not read again.

    Raises:
        RepositoryError: A file cannot be read, or a version is not what its manifest says.
    """
    known = {} if theirs is None else theirs.versions
    try:
        texts = {path: (model.path / path).read_bytes() for path in outside_versions(model)}
        versions = {
            number: checked_version(model, number, known.get(number)) for number in sorted(selection.of(model.versions))
        }
    except OSError as error:
        raise RepositoryError(f"{model.name}: cannot read {error.filename}: {error.strerror}.") from error
    files = {path: blob_from_content(content) for path, content in texts.items()}
    return Local(model, ModelState(files, versions), texts, frozenset(model.versions))


def outside_versions(model: ModelFolder) -> list[str]:
    """Paths of a model's configurations, labels and whatever else does not belong to a version."""
    return [path for path in _paths(model.path) if not NUMBER.fullmatch(path.partition("/")[0])]


def checked_version(model: ModelFolder, number: int, known: Files | None) -> Files:
    """The files of a version, which are what its manifest says.

    Raises:
        RepositoryError: They are not, or the manifest cannot be read.
    """
    folder = model.version(number)
    files = version_files(folder, known)
    if files == known or MANIFEST not in files:
        return files
    passport = passport_from_file(folder / MANIFEST)
    expected = dict(passport.files)
    for artefact in passport.artefacts:
        expected |= {artefact.file: artefact.sha256, **artefact.companions}
    for name, digest in sorted(expected.items()):
        if name not in files or files[name].sha256 != digest:
            wrong = "missing" if name not in files else "not the file that the manifest describes"
            raise RepositoryError(
                f"{model.name}: version {number}: {name} is {wrong}, so it is not pushed. Choose others with "
                f"--versions, or run: engineroom build {model.name} --force"
            )
    return files


def version_files(folder: Path, known: Files | None = None) -> Files:
    """The files of a version with their digests.

    Args:
        folder: The version's folder.
        known: Digests from elsewhere, believed where the manifest and every size are the same.

    Raises:
        OSError: A file cannot be read.
    """
    paths = _paths(folder)
    if known is not None and MANIFEST in known and paths == sorted(known):
        sizes = all((folder / path).stat().st_size == known[path].size_bytes for path in paths)
        if sizes and sha256(folder / MANIFEST) == known[MANIFEST].sha256:
            return known
    return {path: Blob(sha256(folder / path), (folder / path).stat().st_size) for path in paths}


def _paths(folder: Path) -> list[str]:
    """Paths of all files below a folder, hidden ones excepted, in order."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(where)
        links = [name for name in folders if (here / name).is_symlink() and not NUMBER.fullmatch(name)]
        if links:
            raise StoreError(f"{here / links[0]}: is a link to a folder, which no store can hold. Copy the folder.")
        found += [(here / name).relative_to(folder).as_posix() for name in files if not name.startswith(".")]
    return sorted(found)
