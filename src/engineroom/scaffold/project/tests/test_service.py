"""The service: the built model behind a real Triton."""

import subprocess
import sys

import numpy as np
import pytest
from engineroom.client import BadInput, Client
from engineroom.project import Project
from engineroom.serve.server import Server


def test_it_answers_its_golden_input(server: Server) -> None:
    (model,) = server.models
    assert model.golden, "the version has no golden answer"


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_probabilities_sum_to_one_at_every_batch(server: Server, rows: int) -> None:
    with Client(f"grpc://{server.grpc}") as client:
        answer = client.infer("waveforms", measurements=np.zeros((rows, 64), np.float32))["probabilities"]
    assert answer.shape == (rows, 4)
    assert answer.sum(axis=1) == pytest.approx(np.ones(rows), abs=0.01)


def test_a_wave_of_another_length_is_refused(server: Server) -> None:
    with Client(f"grpc://{server.grpc}") as client, pytest.raises(BadInput):
        client.infer("waveforms", measurements=np.zeros((1, 63), np.float32))


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_the_program_knows_the_examples(server: Server, project: Project, scheme: str) -> None:
    command = [sys.executable, "client/classify.py", "--url", f"{scheme}://{getattr(server, scheme)}"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("sine") == 4


def test_the_program_says_what_is_wrong_with_a_file(project: Project) -> None:
    command = [sys.executable, "client/classify.py", "build/waveforms.py"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
