"""Reading every request of perf_analyzer 2.60 from its export, tensors left out."""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engineroom.errors import LoadError
from engineroom.load.samples import Samples

PARTS = re.compile(
    rb'"experiment":\{"mode":"\w+","value":(?P<load>[\d.e+]+)\}'
    rb'|\{"timestamp":(?P<sent>\d+),(?:"sequence_id":\d+,)?"request_inputs":'
    rb'|"response_timestamps":\[(?P<ends>[\d,]*)\],"response_outputs":'
    rb'|"window_boundaries":\[(?P<windows>[\d,]*)\]'
)
"""What is read: the whole file holds every number of every tensor, and may be larger than the memory."""
AGREED = 3
"""Windows at the end of a measurement that its figures come from."""
Nanoseconds = npt.NDArray[np.int64]


def samples_from_export(path: Path) -> dict[float, Samples]:
    """Read the requests that perf_analyzer's figures come from.

    Args:
        path: What `--profile-export-file` wrote.

    Returns:
        Samples by load, in the order of their ends.

    Raises:
        LoadError: The file is missing, or not what this version writes.
    """
    try:
        with path.open("rb") as file:
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return dict(_experiments(PARTS.finditer(text)))
    except (OSError, ValueError, IndexError) as error:
        raise LoadError(f"perf_analyzer's export is not understood ({error}). Use version 2.60.0.") from error


def _experiments(parts: Iterator[re.Match[bytes]]) -> Iterator[tuple[float, Samples]]:
    for load in parts:
        sent, ends, windows = [], [], b""
        for part in parts:
            if part["sent"] is not None:
                sent.append(int(part["sent"]))
            elif part["ends"] is not None:
                # The last of several responses, where there are several.
                ends.append(int(part["ends"].split(b",")[-1]))
            else:
                windows = part["windows"]
                break
        yield float(load["load"]), _samples(np.array(sent), np.array(ends), windows)


def _samples(sent_ns: Nanoseconds, end_ns: Nanoseconds, windows: bytes) -> Samples:
    """It counts a request in the window in which it ended."""
    edges = [int(edge) for edge in windows.split(b",")]
    order = np.argsort(end_ns, kind="stable")
    sent_ns, end_ns = sent_ns[order], end_ns[order]
    counted = (end_ns >= edges[-1 - AGREED]) & (end_ns <= edges[-1])
    sent_ns, end_ns = sent_ns[counted], end_ns[counted]
    # Nanoseconds since 1970 have more digits than a float.
    sent_s = (sent_ns - edges[0]) / 1e9
    # It ends with an error at the first request that fails.
    return Samples(sent_s, (end_ns - sent_ns) / 1e6, np.zeros(len(sent_s), np.bool_))
