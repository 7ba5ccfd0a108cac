"""How to build: what a command asks for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        targets: Names of the targets, such as `openvino`.
        force: Run every stage, although nothing changed.
        write_config: Replace the configurations that are there.
        command: The command that builds this again, for the passport.
        fallback: What takes the place of a target that refuses the graph: `onnxruntime`, or empty for nothing.
        find_islands: Where FP16 misses the proof, search for the nodes that must stay FP32, and keep them so.
    """

    targets: tuple[str, ...]
    force: bool = False
    write_config: bool = False
    command: str = ""
    fallback: str = ""
    find_islands: bool = False
