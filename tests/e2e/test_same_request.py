"""Every way of asking the server the same gives the same bytes."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from engineroom.client import Client

SCORES = np.random.default_rng(7).random((3, 3), np.float32)

ANSWER = {"probabilities": SCORES.tobytes(), "doubled": (SCORES * 2).tobytes()}


@pytest.fixture(scope="module")
def server(start_server):
    return start_server(Path(__file__).parent / "models", "labelled")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_our_client(server, protocol):
    with Client(f"{protocol}://{getattr(server, protocol)}") as client:
        answer = client.infer("labelled", scores=SCORES)
    assert {name: array.tobytes() for name, array in answer.items()} == ANSWER


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_tritonclient_alone(server, protocol):
    import tritonclient.grpc
    import tritonclient.http

    library = {"grpc": tritonclient.grpc, "http": tritonclient.http}[protocol]
    scores = library.InferInput("scores", list(SCORES.shape), "FP32")
    scores.set_data_from_numpy(SCORES)
    with library.InferenceServerClient(getattr(server, protocol)) as client:
        answer = client.infer("labelled", [scores])
    assert {name: answer.as_numpy(name).tobytes() for name in ANSWER} == ANSWER


def test_curl(server, tmp_path):
    length = write_request(tmp_path / "request")
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--data-binary", "@request"]
    command += ["--header", f"Inference-Header-Content-Length: {length}", "--dump-header", "headers"]
    command += ["--output", "answer", f"http://{server.http}/v2/models/labelled/infer"]
    subprocess.run(command, cwd=tmp_path, check=True)
    headers = (tmp_path / "headers").read_text()
    assert read_answer(tmp_path / "answer", headers) == ANSWER


def write_request(path: Path) -> int:
    """Write a body in the form of the binary tensor extension, by hand; gives the length of its JSON in bytes."""
    raw = SCORES.tobytes()
    parameters = {"binary_data_size": len(raw)}
    scores = {"name": "scores", "shape": SCORES.shape, "datatype": "FP32", "parameters": parameters}
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in ANSWER]
    text = json.dumps({"inputs": [scores], "outputs": outputs}).encode()
    path.write_bytes(text + raw)
    return len(text)


def read_answer(path: Path, headers: str) -> dict[str, bytes]:
    """Read an answer in the same form: bytes by output name."""
    length = int(re.search(r"(?i)inference-header-content-length: (\d+)", headers)[1])
    body = path.read_bytes()
    answer = {}
    start = length
    for output in json.loads(body[:length])["outputs"]:
        end = start + output["parameters"]["binary_data_size"]
        answer[output["name"]] = body[start:end]
        start = end
    return answer
