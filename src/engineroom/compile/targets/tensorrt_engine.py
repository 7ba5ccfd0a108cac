"""A plan run on this machine's GPU, with PyTorch holding the memory."""

from pathlib import Path
from typing import Any

from engineroom.compile.verify import Runner
from engineroom.errors import CompileError
from engineroom.recipe import Arrays


def runner_from_plan(trt: Any, path: Path) -> Runner:
    """A runner for a plan.

    Args:
        trt: The TensorRT module that made the plan.
        path: The plan.

    Raises:
        CompileError: PyTorch sees no GPU, or the plan does not load on it.
    """
    import torch

    from engineroom.compile.targets.tensorrt import messages

    if not torch.cuda.is_available():
        raise CompileError(
            f"{path}: this PyTorch ({torch.__version__}) has no CUDA, so the engine cannot be run. "
            "Install a CUDA build of torch."
        )
    said = messages(trt)
    runtime = trt.Runtime(said.logger)
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise CompileError(f"{path}: does not load on {torch.cuda.get_device_name()}: {said.take()}")
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs_first = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = [name for name in names if name not in inputs_first]

    def answer(inputs: Arrays) -> Arrays:
        on_gpu = {name: torch.from_numpy(inputs[name]).cuda() for name in inputs_first}
        for name, tensor in on_gpu.items():
            context.set_input_shape(name, tuple(tensor.shape))
        for name in outputs:
            dtype = torch_dtype(engine.get_tensor_dtype(name).name)
            on_gpu[name] = torch.empty(tuple(context.get_tensor_shape(name)), dtype=dtype, device="cuda")
        for name, tensor in on_gpu.items():
            context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.current_stream()
        if not context.execute_async_v3(stream.cuda_stream):
            raise CompileError(f"{path}: the engine did not run: {said.take()}")
        stream.synchronize()
        return {name: on_gpu[name].cpu().numpy() for name in outputs}

    # The closure keeps runtime and engine: a context does not outlive them.
    answer.__dict__["keeps"] = (runtime, engine)
    return Runner(f"{trt.__name__} {torch.cuda.get_device_name()}", answer)


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
