"""What a case of a rule is, and the configurations that cases are variations of. Loaded by conftest.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TENSORS = """\
max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output { name: "y" data_type: TYPE_FP32 dims: [8] }
"""
CPU = f'name: "NAME"\nbackend: "openvino"\n{TENSORS}'
GPU = f'name: "NAME"\nplatform: "tensorrt_plan"\n{TENSORS}'
ONNX = f'name: "NAME"\nbackend: "onnxruntime"\n{TENSORS}'

ENSEMBLE = """\
name: "NAME"
platform: "ensemble"
max_batch_size: 4
input { name: "a" data_type: TYPE_FP32 dims: [8] }
output { name: "b" data_type: TYPE_FP32 dims: [8] }
ensemble_scheduling {
  step {
    model_name: "hub"
    model_version: -1
    input_map { key: "x" value: "a" }
    output_map { key: "y" value: "b" }
  }
}
"""
STEP = """\
  step {
    model_name: "hub"
    model_version: -1
    input_map { key: "x" value: "a" }
    output_map { key: "y" value: "made" }
  }
}
"""

Change = str | tuple[str, str]
"""Lines that are added, or what is replaced by what."""


@dataclass(frozen=True)
class RuleCase:
    """A rule, a configuration that it speaks of, and one that it does not.

    Attributes:
        code: The rule's code.
        fires: How the base is changed into a configuration with the mistake.
        silent: How it is changed into one without, as like it as can be.
        base: The configuration that is changed.
        line: The line of the finding; by default the first that was changed.
        files: Files of the model's folder that the mistake needs; None for one that must not be there.
        mended: Files that the configuration without the mistake has instead.
        world: What is known beside: `cores`, `slo_ms`, `gpu_memory_bytes`.
    """

    code: str
    fires: Change
    silent: Change = ""
    base: str = CPU
    line: int = 0
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    mended: Mapping[str, str | bytes | None] = field(default_factory=dict)
    world: Mapping[str, Any] = field(default_factory=dict)

    @property
    def broken(self) -> str:
        """The configuration with the mistake."""
        return self._changed(self.fires)

    @property
    def good(self) -> str:
        """The configuration without."""
        return self._changed(self.silent)

    @property
    def where(self) -> int:
        """The line of the finding."""
        if self.line:
            return self.line
        start = len(self.base) if isinstance(self.fires, str) else self.base.index(self.fires[0])
        return self.base.count("\n", 0, start) + 1

    def _changed(self, change: Change) -> str:
        if isinstance(change, str):
            return f"{self.base}{change}\n" if change else self.base
        old, new = change
        assert old in self.base, f"{self.code}: the base has no {old}"
        return self.base.replace(old, new, 1)
