"""The corpus of configurations in tests/corpus: one file a case, broken or good, each with the truth about it.

A file begins with lines `WHAT: TEXT`, and goes on with the files that the case puts into its model's folder, each
behind a line `--- PATH`. tests/corpus/README.md says what the lines mean.
"""

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engineroom.recipe import SLO, Axis, Recipe, Tensor
from engineroom.repository.layout import MANIFEST, ModelFolder

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"

NEAR = 1
"""Lines that a finding may stand above or below the place: a missing bracket shows on the next line."""


@dataclass(frozen=True)
class Case:
    """A configuration, and what is true of it.

    Attributes:
        name: Its name, and its model's.
        broken: Whether something is wrong with it.
        lines: The lines at the head of its file, in order.
        files: Texts by path inside the model's folder; the first is the configuration that the case is about.
    """

    name: str
    broken: bool
    lines: tuple[tuple[str, str], ...]
    files: dict[str, str]

    def said(self, what: str, otherwise: str = "") -> str:
        """The text of a line at the head."""
        return dict(self.lines).get(what, otherwise)

    @property
    def config(self) -> str:
        """Path of the configuration that the case is about, inside the model's folder."""
        return next(iter(self.files))

    @property
    def triton(self) -> str:
        """What the embedded Triton does: `refuses`, `loads`, `dies`, `refuses or dies`, or `unverified: ` and why."""
        return self.said("triton", "loads")

    @cached_property
    def places(self) -> frozenset[int]:
        """Lines of the configuration, from 1, that a finding may name; empty where it is about the file as a whole."""
        wanted = [text for what, text in self.lines if what == "at" and text]
        text = self.files[self.config].splitlines()
        found = {number for number, line in enumerate(text, 1) for one in wanted if one in line}
        return frozenset(line + off for line in found for off in range(-NEAR, NEAR + 1))

    @property
    def recipe(self) -> Recipe | None:
        """A recipe with the promise that the case is to be judged by; None where it makes none."""
        promise = self.said("slo_ms")
        if not promise:
            return None
        x, y = Tensor("x", "float32", (8,)), Tensor("y", "float32", (8,))
        batch, slo = Axis("batch", 1, 2, 4), SLO(p99_ms=float(promise))
        return Recipe(self.name, lambda: None, (x,), (y,), list, batch=batch, precision="fp32", slo=slo)


def cases(*folders: Path) -> tuple[Case, ...]:
    """Every case, by name: `broken/NAME.txt` and `good/NAME.txt` of these folders, by default the corpus."""
    paths = (path for folder in folders or (CORPUS,) for path in sorted(folder.glob("*/*.txt")))
    return tuple(case_from_file(path) for path in paths)


def case_from_file(path: Path) -> Case:
    """A case as it stands in its file."""
    head, *parts = f"\n{path.read_text(encoding='utf-8')}".split("\n--- ")
    files = {name: f"{text}\n" if text else "" for name, _, text in (part.partition("\n") for part in parts)}
    # The last line break is the file's own.
    last = next(reversed(files))
    files[last] = files[last].removesuffix("\n")
    lines = [line.partition(": ") for line in head.splitlines() if line]
    told = tuple((what.rstrip(":"), text) for what, _, text in lines)
    return Case(path.stem, path.parent.name == "broken", told, files)


def write(case: Case, repository: Path) -> ModelFolder:
    """Write a case's model into a repository that holds the bases.

    Args:
        case: The case.
        repository: Where to.
    """
    model = ModelFolder(repository / case.name)
    base = case.said("base", "rows")
    for version in case.said("versions", "1").split():
        if base == "none":
            (model.path / version).mkdir(parents=True)
        else:
            shutil.copytree(repository / base / "1", model.path / version)
            _rename(model.path / version / MANIFEST, case.name)
    for name, text in case.files.items():
        path = model.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_encoded(text, case.said("encoding", "utf-8") if name == case.config else "utf-8"))
    return model


def _rename(manifest: Path, name: str) -> None:
    document: dict[str, Any] = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**document, "model": name}))


def _encoded(text: str, encoding: str) -> bytes:
    return text.replace("\n", "\r\n").encode() if encoding == "crlf" else text.encode(encoding)
