"""What an output was made from: kept beside it, so that a run goes on only with the same input and the same model."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from engineroom import __version__
from engineroom.errors import InferError
from engineroom.infer.images import images_in
from engineroom.repository.files import write_atomically


@dataclass(frozen=True)
class Record:
    """The passport of an output.

    Attributes:
        model: Who answered.
        version: Its version; empty where the server does not tell.
        inputs: What was chosen for inputs, by name.
        outputs: What is written.
        files: What was given.
        digest: Of the files' names, sizes and times.
        rows: Rows of all files.
        answered: Of them, those in the output.
        failed: Those that failed.
        engineroom: The version that wrote the output.
    """

    model: str
    version: str
    inputs: dict[str, str]
    outputs: list[str]
    files: list[str]
    digest: str
    rows: int
    answered: int = 0
    failed: int = 0
    engineroom: str = field(default=__version__)

    @property
    def complete(self) -> bool:
        """Whether every row is answered."""
        return self.answered == self.rows

    def check_same(self, other: "Record", output: Path) -> None:
        """Refuse to go on with another input or model.

        Args:
            other: What is asked for now.
            output: What this is the record of.

        Raises:
            InferError: Says what is different.
        """
        compared = ("model", "version", "inputs", "outputs", "files", "digest")
        differs = next((name for name in compared if getattr(self, name) != getattr(other, name)), None)
        if not differs:
            return
        before, now = (_words(getattr(record, differs)) for record in (self, other))
        what = (
            f"with {differs} {before}, now given: {now}" if differs != "digest" else "before these files were changed"
        )
        raise InferError(
            f"{output}: was begun {what}. Give another --output, or remove this one with "
            f"{record_path(output).name} and {parts_folder(output).name}."
        )

    def with_counts(self, answered: int, failed: int) -> "Record":
        """The same after a run."""
        return replace(self, answered=answered, failed=failed)

    def save(self, output: Path) -> None:
        """Write it beside the output.

        Raises:
            InferError: The folder cannot be written.
        """
        try:
            write_atomically(record_path(output), json.dumps(asdict(self), indent=2) + "\n")
        except OSError as error:
            raise InferError(f"{output.parent}: cannot be written ({error.strerror}).") from error


def _words(value: object) -> str:
    if isinstance(value, dict):
        value = [f"{name}={column}" for name, column in value.items()]
    return (", ".join(value) if isinstance(value, list) else str(value)) or "none"


def record_path(output: Path) -> Path:
    """Where the record of an output lies."""
    return output.with_name(f"{output.name}.run.json")


def parts_folder(output: Path) -> Path:
    """Where the parts of an unfinished output lie."""
    return output.with_name(f"{output.name}.parts")


def errors_path(output: Path) -> Path:
    """Where the rows that failed are listed."""
    return output.with_name(f"{output.name}.errors.jsonl")


def record_of(output: Path) -> Record | None:
    """The record of an output; None where there is none.

    Raises:
        InferError: It cannot be read.
    """
    path = record_path(output)
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise InferError(f"{path}: cannot be read ({error}). Give another --output, or remove it.") from error


def digest_of(paths: Sequence[Path]) -> str:
    """A digest of what files are called, how large they are and when they were written; of their content is too slow.

    Raises:
        OSError: A file is gone.
    """
    digest = hashlib.sha256()
    for path in images_in(paths):
        told = path.stat()
        digest.update(f"{path.resolve()}\0{told.st_size}\0{told.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
