"""One output: every row asked once, whatever happens in between."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from engineroom.client import BadInput, CallError, Client, ModelMetadata, TensorMetadata
from engineroom.client.check import check_names
from engineroom.client.many import Many, answers_to
from engineroom.errors import InferError
from engineroom.infer.ask import Asker
from engineroom.infer.finish import finish
from engineroom.infer.formats import sources_from_paths, writer_of
from engineroom.infer.parts import Keeper, parts_in
from engineroom.infer.record import Record, digest_of, parts_folder, record_of, record_path
from engineroom.infer.rows import Rows, batches

LARGEST_BATCH = 32
"""Rows of a request where the caller does not say, and the model takes as many."""

Progress = Callable[[int, int], None]
"""Told the number of rows that are done, and of those that failed."""


@dataclass(frozen=True)
class Wish:
    """What is wanted.

    Attributes:
        model: The model's name.
        files: What to read: files, and folders of images.
        output: The file to write.
        version: The model's version; empty for the one that the server chooses now, kept to the end.
        inputs: Columns by input name, where they are called otherwise.
        outputs: Outputs to write; all of them where empty.
        batch: Rows of a request; 0 for the model's largest, at most `LARGEST_BATCH`.
        window: Requests in flight.
        timeout_s: Longest wait for the answer to one.
    """

    model: str
    files: tuple[Path, ...]
    output: Path
    version: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    batch: int = 0
    window: int = 4
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Job:
    """A wish that was understood, and can be begun.

    Attributes:
        wish: What is wanted.
        model: What it takes and gives.
        outputs: The outputs that are written.
        rows: What is asked.
        record: What the output will be made from.
    """

    wish: Wish
    model: ModelMetadata
    outputs: tuple[TensorMetadata, ...]
    rows: Rows
    record: Record

    @property
    def batch(self) -> int:
        """Rows of a request."""
        most = self.model.max_batch_size or 1
        return min(most, self.wish.batch or LARGEST_BATCH)

    def begun(self) -> Record | None:
        """The record of what there is of this output already.

        Raises:
            InferError: It was made from something else, or by something else.
        """
        output, record = self.wish.output, record_of(self.wish.output)
        if not output.exists() and not parts_in(parts_folder(output)):
            return None
        if record is None:
            raise InferError(
                f"{output}: is there already, without its {record_path(output).name}. Give another --output."
            )
        record.check_same(self.record, output)
        return record

    def answered(self) -> int:
        """Rows that need not be asked any more."""
        before = self.begun()
        if before and before.complete:
            return before.rows
        parts = parts_in(parts_folder(self.wish.output))
        return sum(part.stop - part.start - len(part.failed()) for part in parts)


def planned(client: Client, wish: Wish) -> Job:
    """Understand a wish: ask the server what the model takes, and open every file.

    Raises:
        CallError: The server does not answer, or does not know the model, or a file is not what the model takes.
        InferError: The output cannot be written in this form, or was begun from something else.
    """
    writer = writer_of(wish.output)
    version = wish.version or _served_version(client, wish.model)
    model = client.metadata(wish.model, version)
    if model.decoupled:
        raise BadInput(f"{model.name}: is decoupled, it has no one answer for a row. Use client.stream.")
    check_names(model.name, "output", wish.outputs, [output.name for output in model.outputs])
    outputs = tuple(output for output in model.outputs if output.name in wish.outputs or not wish.outputs)
    writer.check(outputs, wish.output)
    if wish.output.resolve() in {path.resolve() for path in wish.files}:
        raise InferError(f"{wish.output}: is read and written. Give another --output.")
    rows = Rows(sources_from_paths(wish.files, model, wish.inputs))
    names = [output.name for output in outputs]
    files = [str(path) for path in wish.files]
    try:
        digest = digest_of(wish.files)
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be read ({error.strerror}).") from error
    record = Record(model.name, version, dict(wish.inputs), names, files, digest, len(rows))
    job = Job(wish, model, outputs, rows, record)
    job.begun()
    return job


def infer_files(client: Client, job: Job, on_progress: Progress = lambda _, __: None) -> Record:
    """Ask every row that is not answered yet, and write the output when all were asked.

    Args:
        client: The server.
        job: From `planned`.
        on_progress: Told how far it is, from the rows that were done before.

    Returns:
        The output's record. Rows that failed are in its counts, and will be asked again.

    Raises:
        InferError: It ended before every row was asked; what was answered is kept.
    """
    output = job.wish.output
    with _alone(output):
        before = job.begun()
        if before and before.complete and output.exists():
            shutil.rmtree(parts_folder(output), ignore_errors=True)  # a kill may have left them behind
            on_progress(before.rows, 0)
            return before
        job.record.save(output)
        keeper = Keeper(parts_folder(output))
        try:
            _ask(client, job, keeper, on_progress)
        except (CallError, KeyboardInterrupt) as error:
            why = "stopped." if isinstance(error, KeyboardInterrupt) else str(error)
            kept = f"{keeper.covered:,} of {len(job.rows):,} rows are done and kept"
            raise InferError(f"{why} {kept}: run the same command again to go on.") from error
        return finish(job.record, job.rows, job.outputs, keeper.parts, output)


def _ask(client: Client, job: Job, keeper: Keeper, on_progress: Progress) -> None:
    asker = Asker(client, job.model, tuple(output.name for output in job.outputs), job.wish.timeout_s)
    failed = sum(len(part.failed()) for part in keeper.parts)
    done, failed = keeper.covered - failed, 0
    on_progress(done, failed)
    wanted = job.rows.at(keeper.wanted(len(job.rows)))
    try:
        for outcomes in answers_to(asker.ask, batches(wanted, job.batch), Many(job.wish.window)):
            keeper.keep(outcomes)
            done += len(outcomes)
            failed += sum(isinstance(outcome, str) for outcome in outcomes.values())
            on_progress(done, failed)
    finally:
        keeper.flush()


def _served_version(client: Client, model: str) -> str:
    """The version that a request without one goes to now; empty where the server does not tell."""
    with suppress(CallError):  # the list may be a restricted API; the model is asked for next, with its own words
        return max((version for name, version in client.loaded() if name == model), key=int, default="")
    return ""


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold an output: two runs that write the same one would undo one another's work.

    Raises:
        InferError: Another run holds it, or the folder cannot be written.
    """
    folder = parts_folder(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InferError(f"{folder}: cannot be made ({error.strerror}). Give another --output.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InferError(f"{output}: another run is writing it. Wait for it, or give another --output.") from error
    finally:
        os.close(handle)
        with suppress(OSError):  # empty where everything is done, or nothing was begun
            folder.rmdir()
