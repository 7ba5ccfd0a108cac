"""Sleeps as long as it is told, and complains in the words it is given."""

import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [answer(request) for request in requests]


def answer(request):
    sleep_ms, complaint = (
        pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("sleep_ms", "complaint")
    )
    time.sleep(sleep_ms.max() / 1000)
    if complaint[0, 0]:
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(complaint[0, 0].decode()))
    return pb_utils.InferenceResponse([pb_utils.Tensor("slept_ms", sleep_ms)])
