"""Sums the rows of one matrix; there is no batch axis."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [answer(pb_utils.get_input_tensor_by_name(request, "matrix").as_numpy()) for request in requests]


def answer(matrix):
    return pb_utils.InferenceResponse([pb_utils.Tensor("total", matrix.sum(axis=0))])
