"""Golden answers: a few rows of samples and the module's answers, kept beside the artefacts.

Every copy of a version must answer them, wherever it is served: `serve` asks before it calls a model ready.
"""

import io
from pathlib import Path

import numpy as np

from engineroom.compile.samples import Reference
from engineroom.repository.files import write_atomically


def write_golden(reference: Reference, path: Path) -> None:
    """Write `golden.npz`: arrays `input.NAME` and `output.NAME`, shape (rows, ...).

    Args:
        reference: The recipe with its module and samples.
        path: The file to write.
    """
    case = reference.golden()
    arrays = {
        **{f"input.{name}": array for name, array in case.inputs.items()},
        **{f"output.{name}": array for name, array in case.outputs.items()},
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
