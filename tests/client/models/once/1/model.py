"""Doubles, in one answer."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [answer(pb_utils.get_input_tensor_by_name(request, "x").as_numpy()) for request in requests]


def answer(x):
    return pb_utils.InferenceResponse([pb_utils.Tensor("y", x * 2)])
