"""A plan run on this machine's GPU, with PyTorch holding the memory."""

from pathlib import Path
from typing import Any

from engineroom.compile.targets import Runner
from engineroom.compile.targets.tensorrt_messages import messages
from engineroom.errors import CompileError
from engineroom.recipe import Arrays


def runner_from_plan(trt: Any, path: Path, kind: str = "fp16") -> Runner:
    """A runner for a plan.

    Args:
        trt: The TensorRT module that made the plan.
        path: The plan.
        kind: Element type whose rounding its error is judged by.

    Raises:
        CompileError: PyTorch sees no GPU, or the plan does not load on it.
    """
    import torch

    if not torch.cuda.is_available():
        raise CompileError(
            f"{path}: this PyTorch ({torch.__version__}) has no CUDA, so the engine cannot be run. "
            "Install a CUDA build of torch."
        )
    return Runner(f"{trt.__name__} {torch.cuda.get_device_name()}", _Engine(trt, path).answer, kind)


class _Engine:
    """An engine with its runtime and one execution context; a context does not outlive the other two."""

    def __init__(self, trt: Any, path: Path) -> None:
        self.path, self.said = path, messages(trt)
        self.runtime = trt.Runtime(self.said.logger)
        self.engine = self.runtime.deserialize_cuda_engine(path.read_bytes())
        if self.engine is None:
            raise CompileError(f"{path}: does not load on the GPU of this machine: {self.said.take()}")
        self.context = self.engine.create_execution_context()
        names = [self.engine.get_tensor_name(index) for index in range(self.engine.num_io_tensors)]
        self.inputs = [name for name in names if self.engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self.outputs = [name for name in names if name not in self.inputs]

    def answer(self, inputs: Arrays) -> Arrays:
        """Run one batch; arrays by name, shape (batch, ...), on the CPU in and out.

        Raises:
            CompileError: A shape is outside the engine's profile, or the engine does not run.
        """
        import torch

        tensors = {name: torch.from_numpy(inputs[name]).cuda() for name in self.inputs}
        for name, tensor in tensors.items():
            if not self.context.set_input_shape(name, tuple(tensor.shape)):
                raise CompileError(
                    f"{self.path}: takes no '{name}' of shape {tuple(tensor.shape)}: {self.said.take()} "
                    "Widen the recipe's axes, or build the model again."
                )
        for name in self.outputs:
            dtype = torch_dtype(self.engine.get_tensor_dtype(name).name)
            tensors[name] = torch.empty(tuple(self.context.get_tensor_shape(name)), dtype=dtype, device="cuda")
        for name, tensor in tensors.items():
            self.context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.current_stream()
        if not self.context.execute_async_v3(stream.cuda_stream):
            raise CompileError(f"{self.path}: the engine did not run: {self.said.take()}")
        stream.synchronize()
        return {name: tensors[name].cpu().numpy() for name in self.outputs}


def torch_dtype(name: str) -> Any:
    """PyTorch's element type for TensorRT's name of it, such as `HALF`."""
    import torch

    return {
        "FLOAT": torch.float32,
        "HALF": torch.float16,
        "BF16": torch.bfloat16,
        "INT64": torch.int64,
        "INT32": torch.int32,
        "INT8": torch.int8,
        "UINT8": torch.uint8,
        "BOOL": torch.bool,
    }[name]
