import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from engineroom.errors import BadInput
from engineroom.load.prepared import requests_from_golden
from engineroom.repository.golden import Golden


@pytest.fixture
def golden():
    images = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    return Golden("identity", {"image": images}, {"sum": np.ones((3, 3), np.float32)})


def test_a_grpc_request_holds_the_golden_bytes(golden, served):
    requests = requests_from_golden(golden, served, rows=2)
    assert len(requests) == golden.rows
    message = service_pb2.ModelInferRequest.FromString(requests[1].body)
    assert list(message.inputs[0].shape) == [2, 8, 8, 3]
    assert message.raw_input_contents[0] == golden.inputs["image"][1:3].tobytes()


def test_golden_inputs_of_another_model_are_refused(golden, dynamic):
    with pytest.raises(BadInput, match="input 'image' is unknown"):
        requests_from_golden(golden, dynamic, rows=1)


def test_an_answer_is_compared(golden, served):
    request = requests_from_golden(golden, served, rows=1)[0]
    assert request.mismatch({"sum": np.ones((1, 3), np.float32)}) is None
    assert "2 off its golden answer" in str(request.mismatch({"sum": np.full((1, 3), 3, np.float32)}))
