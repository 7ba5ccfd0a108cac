"""Our own server among the others: as it is built, but for the wait that everybody has."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.description import HERE
from peers.subject import Subject, tuning

from engineroom.project import Project
from engineroom.repository.layout import ModelFolder
from engineroom.repository.pbtxt.edit import edited
from engineroom.serve.server import Server, ServerOptions, running


@contextmanager
def ours_up(subject: Subject) -> Iterator[Server]:
    """Triton with a copy of the model that waits for a batch as long as the peers do.

    Args:
        subject: The model.
    """
    name = subject.recipe.name
    wait_us = round(tuning(name, "openvino").wait_ms * 1000)
    with tempfile.TemporaryDirectory(prefix="ours-") as folder:
        source = Project.find(HERE).repository / name
        copy = ModelFolder(Path(shutil.copytree(source, Path(folder) / name)))
        wait = {"dynamic_batching.max_queue_delay_microseconds": str(wait_us)}
        text = copy.cpu_config.read_text(encoding="utf-8")
        copy.cpu_config.write_text(edited(text, copy.cpu_config, wait), encoding="utf-8")
        with running(ServerOptions(copy.path.parent, (name,), drain_s=2.0)) as server:
            yield server
