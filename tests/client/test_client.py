import threading
from collections import Counter

import numpy as np
import pytest

from engineroom.client import (
    BadInput,
    CallError,
    Classification,
    Client,
    DeadlineExceeded,
    FunctionTransport,
    InferenceFailed,
    ModelMetadata,
    ModelNotFound,
    RequestedOutput,
    ServerUnavailable,
    TensorMetadata,
)

X = TensorMetadata("x", "FP32", (3,))
DOUBLE = ModelMetadata("double", (X,), (TensorMetadata("y", "FP32", (3,)), TensorMetadata("n", "INT64", (1,))), 4)
TEXT = ModelMetadata("text", (TensorMetadata("outputs", "FP32", (1,)),), (TensorMetadata("t", "BYTES", (1,)),), 0)


def double(arrays):
    return {"y": arrays["x"] * 2, "n": np.full((len(arrays["x"]), 1), len(arrays["x"]))}


@pytest.fixture
def transport():
    return FunctionTransport({DOUBLE: double, TEXT: lambda arrays: {"t": np.array([b"a"], object)}})


@pytest.fixture
def client(transport):
    with Client(transport=transport) as client:
        yield client


def rows(count: int) -> np.ndarray:
    return np.arange(count * 3, dtype=np.float32).reshape(count, 3)


def test_keywords_and_a_mapping_are_the_same(client, transport):
    by_keyword = client.infer("double", x=rows(2))
    by_mapping = client.infer("double", {"x": rows(2)})
    np.testing.assert_array_equal(by_keyword["y"], rows(2) * 2)
    np.testing.assert_array_equal(by_mapping["y"], rows(2) * 2)


def test_a_mapping_takes_names_that_are_words_of_the_method(client):
    assert client.infer("text", {"outputs": [1.0]})["t"].tolist() == [b"a"]


def test_an_input_given_twice_is_refused(client):
    with pytest.raises(BadInput, match="double: input 'x' is given twice"):
        client.infer("double", {"x": rows(1)}, x=rows(1))


def test_an_array_without_a_name_is_refused(client):
    with pytest.raises(BadInput, match="double: inputs are a ndarray, give a mapping of names to arrays"):
        client.infer("double", rows(1))


@pytest.mark.parametrize(
    ("count", "parts"),
    [
        pytest.param(1, [1], id="one row"),
        pytest.param(4, [4], id="the largest batch"),
        pytest.param(5, [4, 1], id="one more"),
        pytest.param(22, [4, 4, 4, 4, 4, 2], id="more parts than are in flight"),
    ],
)
def test_a_batch_is_split_and_its_answers_joined_in_order(client, transport, count, parts):
    answer = client.infer("double", x=rows(count))
    np.testing.assert_array_equal(answer["y"], rows(count) * 2)
    assert answer["n"].ravel().tolist() == [size for size in parts for _ in range(size)]
    assert Counter(len(request.inputs[0].array) for request in transport.requests) == Counter(parts)


def test_parts_are_in_flight_together():
    together = threading.Barrier(3)

    def answer(arrays):
        together.wait(timeout=10)
        return double(arrays)

    with Client(transport=FunctionTransport({DOUBLE: answer})) as client:
        assert len(client.infer("double", x=rows(12))["y"]) == 12


def test_an_array_in_another_order_in_memory_arrives_right(client):
    array = np.asfortranarray(rows(6))[::-2]
    np.testing.assert_array_equal(client.infer("double", x=array)["y"], array * 2)


def test_outputs_are_selected(client, transport):
    assert list(client.infer("double", x=rows(1), outputs=["n"])) == ["n"]
    assert transport.requests[-1].outputs == (RequestedOutput("n"),)


def test_an_unknown_output_is_refused(client, transport):
    with pytest.raises(BadInput, match=r"output 'yy' is unknown, the model has: y, n\. Did you mean 'y'\?"):
        client.infer("double", x=rows(1), outputs=["yy"])
    assert transport.requests == []


def test_nothing_is_sent_when_an_input_is_wrong(client, transport):
    with pytest.raises(BadInput):
        client.infer("double", x=rows(2).astype(np.float64))
    assert transport.requests == []


def test_rows_of_different_shape_cannot_be_joined():
    transport = FunctionTransport({DOUBLE: lambda arrays: {"y": arrays["x"][:, : len(arrays["x"])]}})
    expected = r"output 'y' has rows of different shapes .* Send at most 4 rows at a time"
    with Client(transport=transport) as client, pytest.raises(InferenceFailed, match=expected):
        client.infer("double", x=rows(5))


def test_classes_are_ranked_for_each_row(client):
    answer = client.classify("double", {"x": [[0.1, 0.3, 0.2], [2, 1, 0]]}, output="y", top=2)
    assert answer == [
        (Classification(0.6, 1, ""), Classification(0.4, 2, "")),
        (Classification(4.0, 0, ""), Classification(2.0, 1, "")),
    ]


@pytest.mark.parametrize(
    ("model", "inputs", "options", "message"),
    [
        pytest.param("double", {"x": [[1, 2, 3]]}, {}, "say which output to rank, the model has: y, n", id="which"),
        pytest.param("double", {"x": [[1, 2, 3]]}, {"output": "z"}, "output 'z' is unknown", id="unknown"),
        pytest.param("double", {"x": [[1, 2, 3]]}, {"output": "y", "top": 0}, "top is 0, ask for 1", id="none"),
        pytest.param("text", {"outputs": [1.0]}, {}, "output 't' is BYTES, which .* does not rank", id="text"),
    ],
)
def test_what_cannot_be_ranked_is_refused_before_it_is_sent(client, transport, model, inputs, options, message):
    with pytest.raises(BadInput, match=message):
        client.classify(model, inputs, **options)
    assert transport.requests == []


def test_an_unknown_model_is_answered_with_the_loaded_ones(client):
    with pytest.raises(ModelNotFound) as caught:
        client.infer("duoble", x=rows(1))
    assert str(caught.value) == (
        "duoble: functions in this process has not loaded it (no function is called 'duoble'). "
        "Loaded: double (version 1), text (version 1). Did you mean 'double'?"
    )


class Reloaded(FunctionTransport):
    """Answers for one model that changes its input's width; counts how often it is asked about it."""

    width = 3
    asked = 0

    def __init__(self):
        super().__init__({DOUBLE: double})

    def metadata(self, model, version):
        self.asked += 1
        return ModelMetadata("double", (TensorMetadata("x", "FP32", (self.width,)),), DOUBLE.outputs, 4)


def test_metadata_is_asked_once():
    transport = Reloaded()
    with Client(transport=transport) as client:
        for _ in range(3):
            client.infer("double", x=rows(1))
    assert transport.asked == 1


def test_a_reloaded_model_is_noticed_before_an_input_is_refused():
    transport = Reloaded()
    with Client(transport=transport) as client:
        client.infer("double", x=rows(1))
        transport.width = 2
        assert client.infer("double", x=rows(1)[:, :2])["y"].shape == (1, 2)
        with pytest.raises(BadInput, match=r"the model takes \(1..4, 2\)"):
            client.infer("double", x=rows(1))


@pytest.mark.parametrize("kind", [InferenceFailed, DeadlineExceeded, ModelNotFound])
def test_an_error_of_one_part_is_the_answer_and_names_the_model(kind):
    def answer(arrays):
        if arrays["x"][0, 0] == 12:
            raise kind("the second part fails")
        return double(arrays)

    with Client(transport=FunctionTransport({DOUBLE: answer})) as client, pytest.raises(kind, match=r"^double: "):
        client.infer("double", x=rows(12))


def test_a_list_of_models_that_cannot_be_had_hides_nothing():
    class Restricted(FunctionTransport):
        def loaded(self):
            raise InferenceFailed("restricted")

    with Client(transport=Restricted({})) as client, pytest.raises(ModelNotFound, match="no function is called 'm'"):
        client.infer("m", x=rows(1))


def test_ready_is_false_where_nobody_answers():
    class Nobody(FunctionTransport):
        def ready(self, model, version):
            raise ServerUnavailable("nobody")

    with Client(transport=Nobody({})) as client:
        assert client.ready() is False


def test_ready_asks_for_one_model(client):
    assert client.ready() is True
    assert client.ready("double") is True
    assert client.ready("other") is False


def test_a_closed_client_says_so(transport):
    client = Client(transport=transport)
    client.close()
    client.close()
    with pytest.raises(CallError, match=r"is closed. Make a new one."):
        client.infer("double", x=rows(1))


def test_one_client_serves_many_threads(client):
    failures = []

    def work(value: int) -> None:
        for _ in range(20):
            x = np.full((9, 3), value, np.float32)
            if not (client.infer("double", x=x)["y"] == value * 2).all():
                failures.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
