"""The record of a version: what a registry is told of it, read from the version folder alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engineroom.errors import RepositoryError
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, Parity, Passport, passport_from_file

VERSION, FINGERPRINT, PASSPORT = "engineroom.version", "engineroom.fingerprint", "engineroom.passport"
"""Tags of a registered version: its number in the repository, what it was made from, and its passport's digest."""

LONGEST = 6000
"""Characters that MLflow takes as one parameter (MLflow's `MAX_PARAM_VAL_LENGTH`)."""


@dataclass(frozen=True)
class Record:
    """What is told of one version.

    Attributes:
        model: The model's name.
        version: Its number in the repository.
        folder: The version's folder.
        passport: Its passport.
        digest: The passport's digest.
    """

    model: str
    version: int
    folder: Path
    passport: Passport
    digest: str

    @property
    def tags(self) -> dict[str, str]:
        """By these a registered version is known again."""
        return {VERSION: str(self.version), FINGERPRINT: self.passport.fingerprint, PASSPORT: self.digest}

    @property
    def parameters(self) -> dict[str, str]:
        """What the version was made with, by name; the same however often it is asked."""
        return {name: _short(value) for name, value in _parameters(self.passport) if value}

    @property
    def figures(self) -> dict[str, float]:
        """What was measured, by name: `TARGET/RUNNER/noise`, `TARGET/size_bytes`, `seconds/STAGE`."""
        return dict(_figures(self))

    @property
    def files(self) -> tuple[Path, ...]:
        """The graph, weights that lie beside it, the golden answers and the passport."""
        names = sorted({*(name for name in self.passport.files if name.startswith(GRAPH)), GRAPH, GOLDEN, MANIFEST})
        return tuple(path for name in names if (path := self.folder / name).is_file())


def record_from_version(model: ModelFolder, number: int | None = None) -> Record:
    """Read what there is to tell of a version.

    Args:
        model: The model's folder.
        number: The version; the newest by default.

    Raises:
        RepositoryError: There is no such version, or it has no passport.
    """
    known = ", ".join(map(str, model.versions)) or "nothing"
    wanted = number or model.latest
    if wanted is None or wanted not in model.versions:
        raise RepositoryError(
            f"{model.name}: {model.path} holds no version{f' {number}' if number else ''}. It holds: {known}. "
            f"Run: engineroom build {model.name}"
        )
    manifest = model.version(wanted) / MANIFEST
    return Record(model.name, wanted, manifest.parent, passport_from_file(manifest), sha256(manifest))


def _parameters(passport: Passport) -> Iterator[tuple[str, str]]:
    # An engine that a node added for its own GPU is no part of what was built: a parameter cannot change later.
    yield "targets", ", ".join(one.target for one in passport.artefacts if one.parity)
    yield "precision", passport.profile.precision
    yield "sparsity", passport.profile.sparsity
    yield "islands", ", ".join(passport.islands)
    yield "command", passport.command
    yield "built_at", passport.built_at
    for name, (smallest, usual, largest) in passport.profile.inputs.items():
        yield f"input.{name}", " to ".join("x".join(map(str, shape)) for shape in (smallest, largest))
        yield from (("batch.min", str(smallest[0])), ("batch.opt", str(usual[0])), ("batch.max", str(largest[0])))
    for output, limits in passport.limits.items():
        for name in ("max_abs", "p99_abs", "rms", "mean_abs", "cosine", "top1"):
            limit = getattr(limits, name)
            yield f"limit.{output}.{name}", "" if limit is None else f"{limit:.6g}"
    for name, value in passport.libraries.items():
        yield f"library.{name}", value
    for name, value in passport.machine.items():
        yield f"machine.{name}", value


def _figures(record: Record) -> Iterator[tuple[str, float]]:
    for artefact in record.passport.artefacts:
        place = artefact.target.replace(":", "-")
        yield f"{place}/size_bytes", float(artefact.size_bytes)
        yield f"{place}/compile_s", artefact.seconds
        for parity in artefact.parity:
            for name, value in _proof(parity):
                yield f"{place}/{short_runner(artefact, parity).replace(' ', '-')}/{name}", value
    graph = record.folder / GRAPH
    if graph.is_file():
        yield "graph/size_bytes", float(graph.stat().st_size)
    for stage, seconds in record.passport.seconds.items():
        yield f"seconds/{stage.replace(' ', '-').replace(':', '-')}", seconds


def _proof(parity: Parity) -> Iterator[tuple[str, float]]:
    for name in ("noise", "drift", "max_abs", "mean_abs", "cosine", "top1"):
        yield name, getattr(parity, name)
    for name, score in parity.task.items():
        yield name.replace(" ", "-"), score


def short_runner(artefact: Artefact, parity: Parity) -> str:
    """What computed the answers, without the target's own name: `bf16` of `openvino bf16`."""
    return parity.runner.removeprefix(f"{artefact.target} ")


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else value[: LONGEST - 3] + "..."
