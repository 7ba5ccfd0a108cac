"""TensorRT's timing cache: what it measured of its kernels, kept for the next engine of the same GPU and version.

Only `tensorrt` measures. TensorRT for RTX compiles without a GPU and measures nothing; its calls for this do nothing
since 1.2, and say so.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engineroom.project import cache_folder
from engineroom.repository.files import exclusive, write_atomically


@dataclass
class TimingCache:
    """The timing cache of one kind of GPU and one TensorRT.

    Nothing about it can fail a build: what is unreadable, damaged or made elsewhere is dropped, with a note.

    Attributes:
        path: Its file: the SHA-256 of what follows, in hexadecimal, a line feed, and TensorRT's bytes.
        notes: What was dropped or could not be kept.
    """

    path: Path
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, trt: Any, device: str) -> "TimingCache":
        """The cache of a TensorRT module and a GPU.

        Args:
            trt: TensorRT's Python module.
            device: The GPU, in the driver's words.
        """
        name = re.sub(r"[^\w.]+", "-", f"tensorrt-{trt.__version__}-{device or 'unknown-gpu'}")
        return cls(cache_folder() / "timing" / f"{name}.cache")

    def load_into(self, config: Any) -> None:
        """Give a builder's configuration what was measured before; an empty cache where that is of no use.

        Args:
            config: `IBuilderConfig`; TensorRT adds to the cache while it builds.
        """
        stored = self._read()
        if stored and not _set(config, stored):
            self.notes.append(f"the timing cache {self.path} was made for another GPU or TensorRT: dropped")
            stored = b""
        if not stored:
            _set(config, b"")

    def save_from(self, config: Any) -> None:
        """Keep what a configuration knows after a build, together with what other builds added meanwhile.

        Args:
            config: The `IBuilderConfig` that was built with.
        """
        measured = config.get_timing_cache()
        if measured is None:
            return
        try:
            with exclusive(self.path.with_suffix(".lock")):
                if others := self._read():
                    theirs = config.create_timing_cache(others)
                    if theirs is not None:
                        measured.combine(theirs, ignore_mismatch=False)
                content = bytes(memoryview(measured.serialize()))
                write_atomically(self.path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        except OSError as error:
            self.notes.append(f"the timing cache {self.path} cannot be kept: {error.strerror or error}")

    def _read(self) -> bytes:
        try:
            digest, _, content = self.path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return b""
        except OSError as error:
            self.notes.append(f"the timing cache {self.path} cannot be read: {error.strerror or error}")
            return b""
        if hashlib.sha256(content).hexdigest().encode() == digest:
            return content
        self.notes.append(f"the timing cache {self.path} is damaged: dropped")
        return b""


def _set(config: Any, content: bytes) -> bool:
    """Whether the configuration took a cache."""
    made = config.create_timing_cache(content)
    return made is not None and bool(config.set_timing_cache(made, ignore_mismatch=False))
