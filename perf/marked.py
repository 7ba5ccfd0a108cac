"""A model whose answers tell which version gave them: version N answers N times its input."""

from pathlib import Path

import numpy as np

from engineroom.repository.agreement import Limits
from engineroom.repository.files import sha256
from engineroom.repository.golden import golden_to_file
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, Parity, Passport, Profile
from engineroom.repository.publish import publish

WIDTH = 8
"""Numbers in a row."""

CONFIG = """\
# marked: version N answers N times its input
name: "marked"
{backend}
max_batch_size: 4
dynamic_batching {{
  default_queue_policy {{
    max_queue_size: 256
  }}
}}

input {{ name: "x" data_type: TYPE_FP32 dims: [8] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [8] }}

instance_group {{
  count: 1
  kind: {kind}
}}
"""

GPU = 'platform: "tensorrt_plan"\ndefault_model_filename: "model.plan"\n'
CPU = 'backend: "openvino"\ndefault_model_filename: "model.xml"\n'


def configure(repository: Path) -> ModelFolder:
    """Write the model's two configurations.

    Args:
        repository: The model repository.
    """
    model = ModelFolder(repository / "marked")
    model.cpu_config.parent.mkdir(parents=True)
    model.config.write_text(CONFIG.format(backend=GPU, kind="KIND_GPU"))
    model.cpu_config.write_text(CONFIG.format(backend=CPU, kind="KIND_CPU"))
    return model


def publish_next(model: ModelFolder, scratch: Path, *, spoiled: bool = False) -> int:
    """Publish the next version.

    Args:
        model: The model.
        scratch: A folder for its files until then.
        spoiled: Give it a golden answer that it does not give.

    Returns:
        Its number, which is what it multiplies by.
    """
    number = (model.latest or 0) + 1
    return publish(model, version_files(scratch, number, spoiled=spoiled))


def version_files(scratch: Path, number: int, *, spoiled: bool = False) -> list[Path]:
    """The files of a version; made where they are not there yet.

    Args:
        scratch: A folder for them.
        number: The version's number.
        spoiled: Give it a golden answer that it does not give.
    """
    folder = scratch / f"version-{number}"
    if not folder.exists():
        folder.mkdir(parents=True)
        _write_network(folder, number)
        x = np.arange(2 * WIDTH, dtype=np.float32).reshape(2, WIDTH)
        golden_to_file({"x": x}, {"y": (number + spoiled) * x}, folder / GOLDEN)
        (folder / MANIFEST).write_text(_passport(folder).to_json())
    return sorted(folder.iterdir())


def _write_network(folder: Path, number: int) -> None:
    import onnx
    import openvino
    from onnx import TensorProto, helper, numpy_helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", WIDTH]) for name in "xy")
    factor = numpy_helper.from_array(np.array(number, np.float32), "factor")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "factor"], ["y"])], "marked", [x], [y], [factor])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / GRAPH)
    openvino.save_model(openvino.Core().read_model(folder / GRAPH), folder / "model.xml", compress_to_fp16=False)


def _passport(folder: Path) -> Passport:
    names = ("model.xml", "model.bin")
    size_bytes = sum((folder / name).stat().st_size for name in names)
    network = Artefact(
        "model.xml", "openvino", size_bytes, sha256(folder / "model.xml"), "openvino", 0.1, proven=("f32",),
        parity=(Parity("openvino f32", (1, 4), 0.0, 0.0, 1.0),), companions={"model.bin": sha256(folder / "model.bin")},
    )  # fmt: skip
    return Passport(
        model="marked",
        fingerprint="",
        built_at="2026-01-01T00:00:00+00:00",
        command="engineroom build marked",
        profile=Profile("fp32", {"x": ((1, WIDTH), (2, WIDTH), (4, WIDTH))}),
        limits={"y": Limits(max_abs=0.01)},
        libraries={},
        machine={},
        artefacts=(network,),
        files={name: sha256(folder / name) for name in (GRAPH, GOLDEN)},
    )
