"""Real data for perf_analyzer: its input file, made from golden inputs and answers."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.recipe import Arrays


def input_file(inputs: Arrays, expected: Arrays | None, path: Path) -> Path:
    """Write an `--input-data` file.

    Args:
        inputs: Arrays by input name, rows on the first axis.
        expected: Answers by output name, of fixed size. perf_analyzer compares them byte by byte, and only rightly for
            requests of one row and without shared memory.
        path: The file to write.

    Returns:
        The file written.
    """
    content: dict[str, Any] = {"data": _entries(inputs)}
    if expected is not None:
        content["validation_data"] = _entries(expected)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _entries(arrays: Arrays) -> list[dict[str, Any]]:
    rows = min(len(array) for array in arrays.values())
    return [{name: _tensor(array[row]) for name, array in arrays.items()} for row in range(rows)]


def _tensor(row: npt.NDArray[Any]) -> dict[str, Any]:
    # The shape is what decides a dynamic dimension.
    raw = np.ascontiguousarray(row).tobytes()
    return {"content": {"b64": base64.b64encode(raw).decode("ascii")}, "shape": list(row.shape)}
