"""Counts, in an answer for each number, with pauses; says how many others it counts for; complains where it is told."""

import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
COUNTING = set()


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            threading.Thread(target=answer, args=(request, request.get_response_sender())).start()


def answer(request, sender):
    count, pause_ms, complaint = (
        pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0, 0] for name in ("count", "pause_ms", "complaint")
    )
    COUNTING.add(sender)
    for number in range(count):
        if sender.is_cancelled():
            break
        sender.send(pb_utils.InferenceResponse([tensor("number", number), tensor("others", len(COUNTING) - 1)]))
        time.sleep(pause_ms / 1000)
    COUNTING.discard(sender)
    if complaint:
        sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(complaint.decode())))
    sender.send(flags=FINAL)


def tensor(name, value):
    return pb_utils.Tensor(name, np.array([[value]], np.int32))
