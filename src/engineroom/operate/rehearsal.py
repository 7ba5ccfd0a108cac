"""The rehearsal: a changed model is loaded beside the served one, under a name that no caller knows, and proven there.

A configuration that loads and answers wrongly is thus found before a caller meets it. It takes the memory of a second
copy for as long as it lasts; Triton takes the same for every reload, since it loads the new before it drops the old.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from engineroom.errors import GoldenMismatch, LoadRefused, ServerError
from engineroom.operate.control import Control
from engineroom.repository.history import HISTORY
from engineroom.repository.layout import ModelFolder
from engineroom.repository.pbtxt.edit import edited

PREFIX = ".rehearsal-"
"""Of a rehearsed model's name. Git looks past it, and so does Triton until it is asked for it by name."""


def rehearse(model: ModelFolder, texts: Mapping[Path, str], control: Control) -> None:
    """Load a model with changed configurations under another name, have it answer its golden inputs, and unload it.

    Args:
        model: The model, as it is served now.
        texts: Configurations to rehearse with, by their path; the others are taken as they are.
        control: The server. It must read the same repository.

    Raises:
        LoadRefused: Triton does not load it.
        GoldenMismatch: It answers wrongly.
        ServerError: The server does not answer.
        OSError: The repository cannot be written.
    """
    for left in control.rehearsed(PREFIX):
        if not _alive(left):
            control.unload(left)
    with _laid_out(model, texts) as name:
        try:
            control.load(name)
            control.prove(model, name)
        except (LoadRefused, GoldenMismatch) as error:
            raise type(error)(str(error).replace(name, model.name)) from error
        finally:
            with suppress(ServerError):
                control.unload(name)


@contextmanager
def _laid_out(model: ModelFolder, texts: Mapping[Path, str]) -> Iterator[str]:
    """A folder beside the model's with links to all that it holds, and with the configurations to rehearse."""
    sweep(model.path.parent)
    name = f"{PREFIX}{model.name}-{os.getpid()}"
    folder = model.path.parent / name
    folder.mkdir()
    try:
        for entry in model.path.iterdir():
            if entry.name[0] != "." and entry.name not in ("configs", HISTORY, model.config.name):
                (folder / entry.name).symlink_to(Path("..") / model.name / entry.name)
        for path in {*model.configs, *texts}:
            copy = folder / path.relative_to(model.path)
            copy.parent.mkdir(exist_ok=True)
            text = texts.get(path)
            copy.write_text(edited(path.read_text("utf-8") if text is None else text, path, {"name": name}), "utf-8")
        yield name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(repository: Path) -> None:
    """Remove the folders of rehearsals whose process has ended in the middle."""
    for folder in repository.glob(f"{PREFIX}*-*"):
        if not _alive(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(name: str) -> bool:
    """Whether the process of a rehearsal still runs; one's own has none but the one it is about to make."""
    owner = name.rpartition("-")[2]
    return owner != str(os.getpid()) and Path("/proc", owner).exists()
