"""The client against a real Triton, over both protocols."""

import re
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

from engineroom.client import (
    BadInput,
    Classification,
    Client,
    DeadlineExceeded,
    InferenceFailed,
    ModelMetadata,
    ModelNotFound,
    ServerUnavailable,
    TensorMetadata,
)
from engineroom.serve.server import ServerOptions, running

MODELS = Path(__file__).parent / "models"

PROTOCOLS = ("grpc", "http")


@pytest.fixture(scope="module")
def server(start_server):
    return start_server(MODELS)


@pytest.fixture(scope="module", params=PROTOCOLS)
def protocol(request):
    return request.param


@pytest.fixture(scope="module")
def client(server, protocol):
    with Client(f"{protocol}://{getattr(server, protocol)}") as client:
        yield client


@pytest.fixture
def silent():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def nobody():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


def moody(client, sleep_ms=0, complaint="", rows=1, **options):
    return client.infer("moody", sleep_ms=[[sleep_ms]] * rows, complaint=[[complaint]] * rows, **options)


def test_both_protocols_tell_the_same_of_a_model(client):
    assert client.metadata("moody") == ModelMetadata(
        name="moody",
        inputs=(TensorMetadata("sleep_ms", "INT32", (1,)), TensorMetadata("complaint", "BYTES", (1,))),
        outputs=(TensorMetadata("slept_ms", "INT32", (1,)),),
        max_batch_size=2,
    )
    assert client.metadata("every_dtype").inputs[0] == TensorMetadata("BOOL", "BOOL", (-1,), optional=True)


def test_the_server_and_its_models_are_ready(client):
    assert client.ready()
    assert client.ready("moody")
    assert client.ready("moody", "1")
    assert not client.ready("moody", "2")
    assert not client.ready("nothing")


def extremes(dtype):
    info = np.iinfo(dtype)
    return np.array([[info.min, 0, info.max], [1, 2, 3]], dtype)


SPECIAL = [[-0.0, np.inf, np.nan], [1 / 3, 1e-7, -65504.0]]

VALUES = {
    "BOOL": np.array([[True, False, True], [False, False, True]]),
    **{np.dtype(dtype).name.upper(): extremes(dtype) for dtype in (np.uint8, np.uint16, np.uint32, np.uint64)},
    **{np.dtype(dtype).name.upper(): extremes(dtype) for dtype in (np.int8, np.int16, np.int32, np.int64)},
    "FP16": np.array(SPECIAL, np.float16),
    "FP32": np.array(SPECIAL, np.float32),
    "FP64": np.array(SPECIAL, np.float64),
    "BF16": np.array([[-0.0, np.inf, np.nan], [1.5, -2.25, 1e38]], np.float32).view(np.uint32) & 0xFFFF0000,
    "BYTES": np.array([[b"", b"\x00\xff\x00", "grün".encode()], [b"a", b"b" * 1000, b"\n"]], object),
}
VALUES["BF16"] = VALUES["BF16"].view(np.float32)


@pytest.mark.parametrize("dtype", VALUES)
def test_every_type_comes_back_as_it_was_sent(client, dtype):
    answer = client.infer("every_dtype", {dtype: VALUES[dtype]})
    assert list(answer) == [f"{dtype}_OUT"]
    returned = answer[f"{dtype}_OUT"]
    assert returned.dtype == VALUES[dtype].dtype
    if dtype == "BYTES":
        assert returned.tolist() == VALUES[dtype].tolist()
    else:
        assert returned.tobytes() == VALUES[dtype].tobytes()


def test_a_value_between_two_of_bf16_is_rounded_to_the_nearest(client):
    between = np.array([[1 + 1 / 256 + 1 / 1024, 1 + 1 / 256 - 1 / 1024]], np.float32)
    assert client.infer("every_dtype", BF16=between)["BF16_OUT"].tolist() == [[1 + 1 / 128, 1.0]]


def test_answers_may_be_written_to(client):
    for dtype in ("FP32", "BF16", "BYTES"):
        client.infer("every_dtype", {dtype: VALUES[dtype]})[f"{dtype}_OUT"][0, 0] = VALUES[dtype][1, 1]


@pytest.mark.parametrize("shape", [(2, 0), (1, 1), (1, 70_000)], ids=str)
def test_empty_and_long_rows_come_back(client, shape):
    values = np.random.default_rng(0).random(shape, np.float32)
    np.testing.assert_array_equal(client.infer("every_dtype", FP32=values)["FP32_OUT"], values)


def test_an_array_in_another_order_in_memory_arrives_right(client):
    values = np.asfortranarray(np.arange(12, dtype=np.int32).reshape(3, 4))[::-1, ::2]
    np.testing.assert_array_equal(client.infer("every_dtype", INT32=values)["INT32_OUT"], values)


@pytest.mark.parametrize("rows", [1, 4, 5, 50])
def test_batches_are_split_and_joined_in_order(client, rows):
    numbers = np.arange(rows, dtype=np.int64).reshape(rows, 1)
    texts = np.array([[f"row {row}"] for row in range(rows)])
    answer = client.infer("every_dtype", INT64=numbers, BYTES=texts)
    np.testing.assert_array_equal(answer["INT64_OUT"], numbers)
    assert answer["BYTES_OUT"].tolist() == [[text.encode()] for text in texts.ravel()]


def test_a_model_without_batches_is_asked_once(client):
    matrix = np.arange(300, dtype=np.float32).reshape(100, 3)
    np.testing.assert_array_equal(client.infer("unbatched", matrix=matrix)["total"], matrix.sum(axis=0))


def test_outputs_are_selected(client):
    answer = client.infer("labelled", scores=[[1, 2, 3]], outputs=["doubled"])
    assert {name: array.tolist() for name, array in answer.items()} == {"doubled": [[2, 4, 6]]}


def test_classes_are_ranked_and_named_by_the_server(client):
    scores = np.tile(np.array([[0.125, 0.75, 0.5], [0.5, 0.25, 0.125]], np.float32), (5, 1))
    rows = client.classify("labelled", {"scores": scores}, output="probabilities", top=2)
    pear, plum = Classification(0.75, 1, "pear: williams"), Classification(0.5, 2, "plum")
    apple, second = Classification(0.5, 0, "apple"), Classification(0.25, 1, "pear: williams")
    assert rows == [(pear, plum), (apple, second)] * 5


def test_classes_without_names_have_their_numbers(client):
    (row,) = client.classify("labelled", {"scores": [[1, 3, 2]]}, output="doubled", top=9)
    assert row == (Classification(6, 1, ""), Classification(4, 2, ""), Classification(2, 0, ""))


def test_ranking_text_is_refused_because_it_would_end_the_server(client, server):
    with pytest.raises(BadInput, match=r"every_dtype: output 'BYTES_OUT' is BYTES, which .* does not rank"):
        client.classify("every_dtype", {"BYTES": [["a"]]}, output="BYTES_OUT")
    assert server.process.poll() is None


def test_a_late_answer_is_not_waited_for(client):
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        moody(client, sleep_ms=1000, timeout_s=0.2)
    assert time.monotonic() - start < 0.9
    expected = f"moody: no answer from {client.address} within 0.2 s. Raise timeout_s, or send fewer rows."
    assert str(caught.value) == expected
    assert moody(client)["slept_ms"].tolist() == [[0]]


def test_the_servers_own_words_are_passed_on(client):
    with pytest.raises(InferenceFailed) as caught:
        moody(client, complaint="the ink is dry")
    assert str(caught.value) == f"moody: {client.address} answers: the ink is dry"


def test_a_full_queue_is_not_taken_for_a_missing_server(client):
    with pytest.raises(InferenceFailed, match=r"moody: .* answers: .*[Mm]aximum queue size"):
        moody(client, sleep_ms=100, rows=8)


def test_an_unknown_model_is_answered_with_the_loaded_ones(client):
    with pytest.raises(ModelNotFound) as caught:
        client.infer("labeled", scores=[[1, 2, 3]])
    message = str(caught.value)
    assert message.startswith(f"labeled: {client.address} has not loaded it (")
    assert "moody (version 1)" in message
    assert message.endswith("Did you mean 'labelled'?")


def test_an_unknown_version_is_answered_with_the_loaded_ones(client):
    with pytest.raises(ModelNotFound, match=r"moody: .* version 7 is not found.* Loaded: .*moody \(version 1\)"):
        moody(client, version="7")


def test_a_name_with_odd_characters_is_unknown_and_nothing_worse(client):
    with pytest.raises(ModelNotFound):
        client.metadata("../moody/config?x=%20#")


def test_nobody_there_is_said_with_the_way_out(nobody, protocol):
    with (
        Client(f"{protocol}://{nobody}") as client,
        pytest.raises(
            ServerUnavailable, match=rf"no Triton answers at {protocol}://{nobody} \(.*[Cc]onnection refused\)"
        ) as caught,
    ):
        client.infer("moody", x=1)
    assert "Start one with: engineroom serve" in str(caught.value)


def test_a_silent_server_is_given_up_in_time(silent, protocol):
    def taken_s():
        start = time.monotonic()
        with Client(f"{protocol}://{silent}", connect_timeout_s=0.3) as client:
            with pytest.raises(ServerUnavailable, match=f"no Triton answers at {protocol}://{silent}"):
                client.metadata("moody")
            assert not client.ready()
        return time.monotonic() - start

    # Again where this machine stood still: what takes its time does so each time.
    assert any(taken_s() < 5 for _ in range(3))


@pytest.mark.parametrize(
    ("scheme", "endpoint", "message"),
    [
        pytest.param("grpc", "http", "{0} speaks HTTP, not gRPC. Use http://{0}", id="gRPC to the HTTP port"),
        pytest.param(
            "http", "grpc", "{0} speaks another protocol than HTTP. Use grpc://{0}", id="HTTP to the gRPC port"
        ),
        pytest.param("grpc", "metrics", "or Triton's port for grpc (8001 by default)", id="gRPC to the metrics"),
        pytest.param(
            "http", "metrics", "not as Triton does. Use Triton's port for http (8000", id="HTTP to the metrics"
        ),
    ],
)
def test_the_wrong_port_is_recognised(server, scheme, endpoint, message):
    address = getattr(server, endpoint)
    with (
        Client(f"{scheme}://{address}") as client,
        pytest.raises(ServerUnavailable, match=re.escape(message.format(address))),
    ):
        client.metadata("moody")


def test_clients_outlive_their_server():
    with running(ServerOptions(MODELS, ("unbatched",), drain_s=0)) as first:
        ports = {f"{name}_port": int(getattr(first, name).split(":")[1]) for name in ("http", "grpc", "metrics")}
        clients = [Client(f"{name}://{getattr(first, name)}") for name in PROTOCOLS]
        for client in clients:
            assert client.infer("unbatched", matrix=[[1, 2, 3]])["total"].tolist() == [1, 2, 3]
    for client in clients:
        with pytest.raises(ServerUnavailable):
            client.infer("unbatched", matrix=[[1, 2, 3]])
        assert not client.ready()
    with running(ServerOptions(MODELS, ("unbatched",), drain_s=0, **ports)):
        for client in clients:
            wait_until(client.ready)
            assert client.infer("unbatched", matrix=[[1, 2, 3]])["total"].tolist() == [1, 2, 3]
            client.close()


@pytest.fixture(scope="module")
def restricted(start_server):
    apis = ("--http-restricted-api=inference:key=open", "--grpc-restricted-protocol=inference:key=open")
    return start_server(MODELS, "unbatched", arguments=apis)


def test_headers_open_a_restricted_api(restricted, protocol):
    # Triton looks for the headers of gRPC under a prefix of its own.
    header = {"grpc": "Triton-grpc-protocol-key", "http": "key"}[protocol]
    url = f"{protocol}://{getattr(restricted, protocol)}"
    with Client(url) as client, pytest.raises(InferenceFailed, match="restricted, expecting header"):
        client.infer("unbatched", matrix=[[1, 2, 3]])
    with Client(url, headers={header: "open"}) as client:
        assert client.infer("unbatched", matrix=[[1, 2, 3]])["total"].tolist() == [1, 2, 3]


def test_one_client_serves_many_threads(client):
    failures = []

    def work(value):
        for _ in range(5):
            values = np.full((9, 2), value, np.int32)
            if not np.array_equal(client.infer("every_dtype", INT32=values)["INT32_OUT"], values):
                failures.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def sockets():
    """Inodes of this process's open sockets."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # the one that lists the folder
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def test_closing_leaves_no_socket_and_no_thread(server, protocol):
    sockets_before, threads_before = sockets(), set(threading.enumerate())
    with Client(f"{protocol}://{getattr(server, protocol)}") as client:
        client.infer("every_dtype", INT32=np.zeros((50, 2), np.int32))
        assert sockets() - sockets_before
    wait_until(lambda: not sockets() - sockets_before)
    wait_until(lambda: not [thread for thread in set(threading.enumerate()) - threads_before if not thread.daemon])
