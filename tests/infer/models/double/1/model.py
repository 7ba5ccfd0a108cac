"""Doubles, in no hurry, so that a run can be broken off."""

import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.003)
        return [answer(pb_utils.get_input_tensor_by_name(request, "x").as_numpy()) for request in requests]


def answer(x):
    if (x < 0).any():
        return pb_utils.InferenceResponse(error=pb_utils.TritonError("negative"))
    return pb_utils.InferenceResponse([pb_utils.Tensor("y", x * 2)])
