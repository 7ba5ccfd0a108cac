"""The environment of each peer: made once under the ignored `.tools/peers/`, from its pinned requirements."""

import shutil
import subprocess
import sys
from pathlib import Path

from peers.description import HERE, Peer

from engineroom.repository.files import exclusive, sha256

PLACE = HERE.parents[1] / ".tools" / "peers"


def folder(peer: Peer) -> Path:
    """Where a peer's environment lies, or would lie: under a digest of its requirements."""
    return PLACE / f"{peer.name}-{sha256(peer.requirements)[:12]}"


def python(peer: Peer) -> Path | None:
    """The interpreter of a peer's environment; None where it is not installed."""
    found = folder(peer)
    return found / "bin" / "python" if (found / "complete").exists() else None


def install(peer: Peer) -> Path:
    """Make a peer's environment where there is none, and give its interpreter. Who comes second waits.

    Raises:
        CalledProcessError: pip failed; it has said why.
    """
    place = folder(peer)
    PLACE.mkdir(parents=True, exist_ok=True)
    with exclusive(place.with_suffix(".lock")):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "-r", str(peer.requirements)], check=True)
            (place / "complete").touch()
    return place / "bin" / "python"
