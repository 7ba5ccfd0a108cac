"""A recipe as Triton's model configuration: `config.pbtxt` for the GPU container, `configs/cpu.pbtxt` without a GPU.

Both come from one description and go through Triton's own protobuf, so that what is written can be read.
"""

from pathlib import Path
from typing import Any

from engineroom.errors import RecipeError, RepositoryError
from engineroom.recipe import Recipe, Tensor
from engineroom.repository.layout import PLAN, ModelFolder

GPU_INSTANCES = 2
"""Copies on a GPU: one computes while the other copies (Triton's optimization guide, "Model Instances")."""

HEADER = """\
# {name}: {purpose}
# Written by `engineroom build` when it was missing; yours to edit from then on. A build checks that it still fits.
"""


BLOCKS = (
    ("name", "platform", "backend", "default_model_filename"),
    ("max_batch_size", "dynamic_batching"),
    ("input", "output"),
    ("instance_group",),
)
"""Fields in the order they are written, a blank line between blocks; others follow."""


def gpu_config(recipe: Recipe) -> Any:
    """The configuration for the GPU container: a TensorRT plan, dynamic batching.

    Returns:
        A `ModelConfig` message of Triton's protobuf.
    """
    config = _contract(recipe)
    config.platform = "tensorrt_plan"
    config.default_model_filename = PLAN
    config.instance_group.add(count=GPU_INSTANCES, kind=_group().KIND_GPU)
    return config


def cpu_config(recipe: Recipe) -> Any:
    """The configuration without a GPU: the OpenVINO backend, the same contract.

    Returns:
        A `ModelConfig` message of Triton's protobuf.
    """
    config = _contract(recipe)
    config.backend = "openvino"
    config.default_model_filename = "model.xml"
    config.instance_group.add(count=recipe.instances, kind=_group().KIND_CPU)
    # The backend runs a few fixed batch sizes; one between two of them is cut or padded, so full ones are preferred.
    config.dynamic_batching.preferred_batch_size.append(recipe.batch.opt)
    return config


def missing_configs(recipe: Recipe, folder: ModelFolder, *, overwrite: bool = False) -> dict[Path, str]:
    """The configurations and label files to write; those that are there are checked. Nothing is written yet.

    Args:
        recipe: The model.
        folder: Its folder in the repository.
        overwrite: Replace what is there.

    Returns:
        The content of each file that is missing, or is to be replaced, for `write_atomically`.

    Raises:
        RepositoryError: A configuration that is there cannot be parsed, or does not fit the recipe.
        RecipeError: An output's labels cannot be loaded, or are not as many as its classes.
    """
    missing = {}
    wanted = (
        (folder.config, gpu_config(recipe), "in the GPU container"),
        (folder.cpu_config, cpu_config(recipe), "without a GPU, on OpenVINO (tritonserver --model-config-name=cpu)"),
    )
    for path, config, purpose in wanted:
        if path.exists() and not overwrite:
            _check_fits(path, config_from_file(path), config)
        else:
            missing[path] = text_from_config(config, HEADER.format(name=recipe.name, purpose=purpose))
    return {**missing, **_missing_labels(recipe, folder)}


def text_from_config(config: Any, header: str = "") -> str:
    """A configuration as protobuf text, in the order that people read it: what it is, what it takes, how it runs.

    Args:
        config: A `ModelConfig` message.
        header: Comment lines before it.
    """
    known = {name for block in BLOCKS for name in block}
    others = tuple(field.name for field, _ in config.ListFields() if field.name not in known)
    # Field by field: protobuf itself writes them in the order of their numbers.
    blocks = ("".join(_text_of_field(config, name) for name in block) for block in (*BLOCKS, others))
    return "\n".join(text for text in (header, *blocks) if text)


def _text_of_field(config: Any, name: str) -> str:
    from google.protobuf import text_format

    alone = type(config)()
    alone.CopyFrom(config)
    for field, _ in config.ListFields():
        if field.name != name:
            alone.ClearField(field.name)
    text: str = text_format.MessageToString(alone, use_short_repeated_primitives=True)
    return text


def config_from_file(path: Path) -> Any:
    """Read a configuration through Triton's protobuf.

    Raises:
        RepositoryError: The file cannot be read, or is not a model configuration; the message names line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RepositoryError(f"{path}: cannot be read: {error}") from error
    return config_from_text(text, path)


def config_from_text(text: str, path: Path, *, unknown: bool = False) -> Any:
    """A configuration's text as a `ModelConfig` message.

    Args:
        text: Protobuf text.
        path: Where it stands, for the message.
        unknown: Pass over fields that this protobuf does not know, because a newer Triton may.

    Raises:
        RepositoryError: It is not a model configuration; the message names line and column.
    """
    from google.protobuf import text_format

    try:
        return text_format.Parse(text, _protobuf().ModelConfig(), allow_unknown_field=unknown)
    except text_format.ParseError as error:
        raise RepositoryError(
            f"{path}: is not a Triton model configuration: {error}. Mend the line, or delete the file and build again."
        ) from error


def backend_of(config: Any) -> str:
    """The backend that a `ModelConfig` message names; `tensorrt` for the platform of that backend."""
    return "tensorrt" if config.platform == "tensorrt_plan" else str(config.backend or config.platform)


def label_file(tensor: Tensor) -> str:
    """Name of the file with an output's class names, beside `config.pbtxt`."""
    return f"{tensor.name}_labels.txt"


def _contract(recipe: Recipe) -> Any:
    config = _protobuf().ModelConfig(name=recipe.name, max_batch_size=recipe.batch.max)
    for tensor in recipe.inputs:
        config.input.add(name=tensor.name, data_type=_data_type(tensor), dims=tensor.shape)
    for tensor in recipe.outputs:
        labels = label_file(tensor) if tensor.labels else ""
        config.output.add(name=tensor.name, data_type=_data_type(tensor), dims=tensor.shape, label_filename=labels)
    config.dynamic_batching.SetInParent()
    return config


def _data_type(tensor: Tensor) -> Any:
    names = {"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64"}
    return _protobuf().DataType.Value(f"TYPE_{names.get(tensor.dtype, tensor.dtype.upper())}")


def _check_fits(path: Path, found: Any, wanted: Any) -> None:
    """Compare what a build must be able to rely on; everything else is the operator's."""
    if found.name not in ("", wanted.name):
        raise RepositoryError(
            f"{path}: says name '{found.name}', the folder and the recipe say '{wanted.name}'. Mend the name."
        )
    for side in ("input", "output"):
        have = {one.name: (one.data_type, tuple(one.dims)) for one in getattr(found, side)}
        want = {one.name: (one.data_type, tuple(one.dims)) for one in getattr(wanted, side)}
        if have != want:
            raise RepositoryError(
                f"{path}: its {side}s are {_described(have)}, the recipe's are {_described(want)}. "
                "Mend the file, or say --write-config to write it anew."
            )
    if not 1 <= found.max_batch_size <= wanted.max_batch_size:
        raise RepositoryError(
            f"{path}: max_batch_size {found.max_batch_size} is outside the 1..{wanted.max_batch_size} "
            "that the recipe's batch axis allows. Mend the file, or widen the recipe."
        )


def _described(tensors: dict[str, tuple[int, tuple[int, ...]]]) -> str:
    name_of = _protobuf().DataType.Name
    return ", ".join(f"{name} {name_of(kind)} {list(dims)}" for name, (kind, dims) in tensors.items()) or "none"


def _missing_labels(recipe: Recipe, folder: ModelFolder) -> dict[Path, str]:
    missing = {}
    for tensor in recipe.outputs:
        if tensor.labels is None:
            continue
        try:
            names = list(tensor.labels())
        except Exception as error:
            raise RecipeError(
                f"{recipe.name}: the labels of output '{tensor.name}' cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if len(names) != tensor.dims[-1]:
            raise RecipeError(
                f"{recipe.name}: output '{tensor.name}' has {tensor.dims[-1]} classes, labels() gave {len(names)} "
                "names. Give one name for each class, in the order of the classes."
            )
        text = "".join(f"{name}\n" for name in names)
        path = folder.path / label_file(tensor)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            missing[path] = text
    return missing


def _protobuf() -> Any:
    from tritonclient.grpc import model_config_pb2

    return model_config_pb2


def _group() -> Any:
    return _protobuf().ModelInstanceGroup
