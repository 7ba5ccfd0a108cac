"""One artefact's verdict: whether its passport and its files let it load at a place, in one sentence.

A plan loads with the TensorRT and on the GPU that made it: `place.misfit`. Plans of TensorRT for RTX are another format
(TensorRT for RTX's documentation), and none of Triton's backends reads it (triton-inference-server/backend lists them).
"""

from dataclasses import dataclass
from pathlib import Path

from engineroom.repository.files import sha256
from engineroom.repository.passport import Artefact, Passport
from engineroom.repository.place import Place, misfit


@dataclass(frozen=True)
class Verdict:
    """Whether one artefact will load.

    Attributes:
        file: Its name.
        target: What it was compiled for.
        reason: Why it will not; empty where it will.
        sentence: Whether it will, and why not.
    """

    file: str
    target: str
    reason: str
    sentence: str


def verdict(artefact: Artefact, place: Place, damaged: str = "") -> Verdict:
    """Judge one artefact.

    Args:
        artefact: As its passport describes it.
        place: Where it is to be loaded.
        damaged: What is wrong with its file, from `damage`.
    """
    reason = unfit(artefact, place) or (damaged and f"is {damaged}")
    told = f"does not load on {place}: it {reason}" if reason else f"loads on {place}"
    caveat = doubts(place) if artefact.target == "tensorrt" else ""
    return Verdict(artefact.file, artefact.target, reason, f"{artefact.file} {told}{caveat}.")


def unfit(artefact: Artefact, place: Place) -> str:
    """What keeps an artefact from loading at a place, going by its passport; empty where nothing does."""
    kind = artefact.target.partition(":")[0]
    if kind == "tensorrt-rtx":
        return "is a plan of TensorRT for RTX, another format, which none of Triton's backends reads"
    if kind == "openvino" and not place.cpu:
        return "is OpenVINO's, which the configuration for the CPU names"
    if kind == "onnxruntime" and place.cpu:
        return "needs Triton's ONNX Runtime backend, which the GPU container has"
    if kind == "tensorrt" and place.cpu:
        return f"needs the GPU that it was made on, {artefact.device or 'which is not known'}"
    reasons = misfit(artefact, place) if kind == "tensorrt" else ""
    return reasons and f"was {reasons}"


def doubts(place: Place) -> str:
    """What a verdict on plans leaves open, as the end of its sentence."""
    if place.cpu:
        return ""
    image, open_ends = place.triton, []
    if image and image.tensorrt and not image.evidence:
        open_ends.append(f"that Triton {image.tag} has TensorRT {image.tensorrt} is unconfirmed")
    if not place.tensorrt:
        open_ends.append("TensorRT's version there is not known")
    if not place.gpu:
        open_ends.append("the GPU there is not known")
    elif not place.full:
        open_ends.append(f"no plan is promised to run on another model of {place.gpu} than its own")
    return f" ({'; '.join(open_ends)})" if open_ends else ""


def damage(artefact: Artefact, folder: Path) -> str:
    """How an artefact's files differ from what its passport says, to follow "is"; empty where they do not.

    The size comes first where it tells, because it costs nothing; the digest takes 1.2 s a gigabyte
    (measured on one core), less than loading it does.
    """
    names = {artefact.file: artefact.sha256, **artefact.companions}
    gone = [name for name in names if not (folder / name).is_file()]
    if gone:
        return "missing" if artefact.file in gone else f"without {gone[0]}, which belongs to it"
    size_bytes = (folder / artefact.file).stat().st_size
    if not artefact.companions and size_bytes != artefact.size_bytes:
        return f"{size_bytes} bytes long, not the {artefact.size_bytes} that the manifest describes"
    other = [name for name, digest in names.items() if sha256(folder / name) != digest]
    if artefact.file in other:
        return "not the file that the manifest describes"
    return f"beside a {other[0]} that the manifest does not describe" if other else ""


def changed(passport: Passport, folder: Path, name: str) -> str:
    """How a file that belongs to the whole version differs from what its passport says, to follow "is".

    Files whose names begin with its name belong to it: a graph's weights may stand beside it.
    """
    for other in sorted(one for one in passport.files if one == name or one.startswith(f"{name}.")):
        if not (folder / other).is_file():
            return "missing" if other == name else f"without {other}, which belongs to it"
        if sha256(folder / other) != passport.files[other]:
            told = "not the file" if other == name else f"beside a {other}"
            return f"{told} that the manifest {'describes' if other == name else 'does not describe'}"
    return ""
