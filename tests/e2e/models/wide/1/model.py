"""Gives back what it gets, as large as it got it; larger than its configuration says where it is told so."""

import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [answer(request) for request in requests]


def number(request, name, default):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return int(tensor.as_numpy().max()) if tensor else default


def answer(request):
    time.sleep(number(request, "sleep_ms", 0) / 1000)
    x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
    y = np.tile(x, (1, number(request, "times", 1)))
    text = np.array([[b"%f" % row[0]] for row in x], object)
    outputs = {"y": y, "half": x.astype(np.float16), "first": x[:, :3], "text": text}
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in outputs.items()])
