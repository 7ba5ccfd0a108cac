import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from waiting import wait_until

from engineroom.client import Client, InferenceFailed
from engineroom.errors import GoldenMismatch, PortInUse, ServerError, StartupFailed
from engineroom.repository.layout import MANIFEST
from engineroom.repository.passport import passport_from_file
from engineroom.serve import leftovers
from engineroom.serve.server import ServerOptions, running

pytestmark = pytest.mark.usefixtures("server_installation")

ENGINEROOM = str(Path(sys.executable).with_name("engineroom"))


@pytest.fixture(scope="session")
def server(start_server, write_sum_model, tmp_path_factory):
    repository = tmp_path_factory.mktemp("a repository with spaces")
    write_sum_model(repository, "adder")
    write_sum_model(repository, "any_width", width=-1, proven=False)
    return start_server(repository)


@pytest.fixture
def client(server):
    with Client(f"grpc://{server.grpc}") as client:
        yield client


@pytest.fixture
def repository(tmp_path, write_sum_model):
    write_sum_model(tmp_path)
    return tmp_path


@pytest.fixture
def command(repository):
    """`engineroom serve` as a process of its own, with what it told when it was ready."""
    ports = [f"--{endpoint}-port=0" for endpoint in ("http", "grpc", "metrics")]
    arguments = [ENGINEROOM, "serve", "--json", f"--repository={repository}", f"--log={repository}/log", *ports]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process, json.loads(process.stdout.readline())
        process.kill()


def cut_short(version):
    with (version / "model.xml").open("r+b") as file:
        file.truncate(500)


def alter(version):
    path = version / "model.xml"
    path.write_text(path.read_text().replace("Add", "Sub", 1))


def without_openvino(version):
    passport = passport_from_file(version / MANIFEST)
    plan = replace(passport.artefacts[0], file="model.rtx-sm89.plan", target="tensorrt-rtx:sm89")
    (version / MANIFEST).write_text(replace(passport, artefacts=(plan,)).to_json())


def region_names(pid):
    return [path.name for path in leftovers.SHARED_MEMORY.glob(f"{leftovers.PREFIX}{pid}_*")]


def processes_of(pid):
    owner = f"{leftovers.PREFIX}{pid}_".encode()
    return [path for path in Path("/proc").glob("[0-9]*") if owner in leftovers._command(path)]


def test_models_are_listed_with_the_agreement_of_their_golden_answers(server):
    listed = {model.name: model for model in server.models}
    assert listed["adder"].version == 1
    assert listed["adder"].backend == "openvino"
    assert listed["adder"].golden["sum"].max_abs == 0
    assert listed["any_width"].golden == {}


@pytest.mark.parametrize("model", ["adder", "any_width"])
def test_requests_of_mixed_batch_sizes_get_their_own_rows(server, client, model):
    before = executions(server, model)
    questions = [np.random.default_rng(seed).normal(size=(1 + seed % 8, 4)).astype(np.float32) for seed in range(40)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda rows: client.infer(model, a=rows, b=2 * rows)["sum"], questions))
    for rows, answer in zip(questions, answers, strict=True):
        np.testing.assert_allclose(answer, 3 * rows, rtol=1e-5)
    assert executions(server, model) - before < len(questions), "nothing was batched, so nothing was tested"


def test_requests_of_mixed_widths_are_answered(client):
    questions = [np.full((1 + seed % 3, 1 + seed % 5), seed, np.float32) for seed in range(30)]
    with ThreadPoolExecutor(15) as pool:
        answers = list(pool.map(lambda rows: client.infer("any_width", a=rows, b=rows)["sum"], questions))
    for rows, answer in zip(questions, answers, strict=True):
        np.testing.assert_array_equal(answer, 2 * rows)


def test_a_request_the_model_cannot_compute_fails_alone(client):
    def ask(width):
        try:
            return client.infer("any_width", a=np.ones((1, 3), np.float32), b=np.ones((1, width), np.float32))["sum"]
        except InferenceFailed as error:
            return error

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, [3, 4] * 10))
    for width, answer in zip([3, 4] * 10, answers, strict=True):
        if width == 4:
            assert "incompatible" in str(answer) or "shape" in str(answer).lower()
        else:
            np.testing.assert_array_equal(answer, np.full((1, 3), 2))


def test_a_wrong_dtype_is_refused_and_the_next_request_answered(server, client):
    with triton.InferenceServerClient(server.grpc) as raw:
        tensors = [triton.InferInput(name, [1, 4], "FP64") for name in "ab"]
        for tensor in tensors:
            tensor.set_data_from_numpy(np.ones((1, 4)))
        with pytest.raises(triton.InferenceServerException, match=r"data-type is 'FP64'.*expects 'FP32'"):
            raw.infer("adder", tensors)
    np.testing.assert_array_equal(
        client.infer("adder", a=np.ones((1, 4), "f4"), b=np.ones((1, 4), "f4"))["sum"], [[2] * 4]
    )


def test_a_model_that_does_not_load_is_refused_with_the_reason_from_the_log(repository):
    (repository / "adder" / "1" / MANIFEST).unlink()
    (repository / "adder" / "1" / "model.xml").write_text("<net")
    with pytest.raises(StartupFailed, match=r"failed to load 'adder' version 1: .*Unable to read the model") as caught:
        start_and_stop(repository)
    assert str(repository) in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda version: (version / "model.xml").unlink(),
            r"model\.xml is missing\. Run: engineroom build adder --tar",
        ),
        (cut_short, r"model\.xml is not the file that the manifest describes\. Run: .* --target openvino --force"),
        (alter, r"model\.xml is not the file that the manifest describes\. Run: .* --target openvino --force"),
        (without_openvino, r"its manifest has no model\.xml, only model\.rtx-sm89\.plan\. Run: engineroom build adder"),
    ],
    ids=["missing", "cut short", "altered", "built for RTX alone"],
)
def test_a_version_that_cannot_load_here_is_refused_before_triton_starts(repository, tmp_path, damage, reason):
    damage(repository / "adder" / "1")
    log = tmp_path / "log"
    with pytest.raises(
        StartupFailed, match=rf"^adder: version 1 does not load on .* without a GPU: {reason}"
    ) as caught:
        start_and_stop(repository, log=log)
    assert "\n" not in str(caught.value)
    assert not log.exists()


def test_a_configuration_that_does_not_fit_the_model_is_named(repository):
    config = repository / "adder" / "config.pbtxt"
    config.write_text(config.read_text().replace('"sum"', '"total"'))
    with pytest.raises(StartupFailed, match="the configuration has output 'total', the model has: sum"):
        start_and_stop(repository)


def test_a_configuration_that_cannot_be_parsed_is_named(repository):
    config = repository / "adder" / "config.pbtxt"
    config.write_text(config.read_text() + "\nno_such_field: 1\n")
    with pytest.raises(StartupFailed, match='no field named "no_such_field"'):
        start_and_stop(repository)


def test_a_wrong_golden_answer_keeps_the_server_from_counting_as_ready(tmp_path, write_sum_model):
    write_sum_model(tmp_path, error=0.5)
    with pytest.raises(
        GoldenMismatch, match=r"adder: version 1 .* 'sum': max_abs 0.5 is above 0.001.*engineroom build"
    ):
        start_and_stop(tmp_path)


def test_a_port_in_use_is_named_before_anything_starts(repository):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"grpc: port {port} on 127.0.0.1 .*--grpc-port"):
            start_and_stop(repository, grpc_port=port)


def test_a_server_that_dies_is_told_with_its_last_lines(repository):
    with running(ServerOptions(repository)) as server:
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ServerError, match=r"(?s)ended by itself \(exit status -9\).*Started HTTPService"):
            server.wait()


def test_a_server_that_crashes_is_told_with_what_often_does_it(repository):
    with running(ServerOptions(repository)) as server:
        os.kill(server.pid, signal.SIGSEGV)
        with pytest.raises(ServerError, match=r"exit status -11\)\. Callers who cancel gRPC calls .* Its last lines:"):
            server.wait()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_the_server_without_a_trace(command, sent):
    process, _ = command
    assert processes_of(process.pid)
    assert region_names(process.pid)
    process.send_signal(sent)
    assert process.wait(60) == 0
    assert processes_of(process.pid) == []
    assert region_names(process.pid) == []
    assert not list(Path("/tmp").glob(f"{leftovers.PREFIX}{process.pid}_*"))


def test_requests_in_flight_are_answered_before_the_end(tmp_path, write_sum_model):
    # The batcher holds a lone request for its delay, so it is in flight when the server is told to end.
    write_sum_model(tmp_path, delay_us=1_000_000, proven=False)
    rows = np.ones((1, 4), np.float32)
    with running(ServerOptions(tmp_path)) as server, Client(server.grpc) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.infer, "adder", a=rows, b=rows)
        wait_until(lambda: 'pending_request_count{model="adder",version="1"} 1' in metrics(server))
        server.stop()
        np.testing.assert_array_equal(answer.result()["sum"], 2 * rows)


def test_the_server_ends_with_the_process_that_started_it_even_when_that_is_killed(command):
    process, _ = command
    process.kill()
    wait_until(lambda: not processes_of(process.pid))
    assert region_names(process.pid) == []


def test_what_killed_servers_left_is_swept_by_the_next_start(command, repository):
    process, told = command
    # Stopped first: a stub that sees Triton die would tidy up.
    os.killpg(told["pid"], signal.SIGSTOP)
    process.kill()
    os.killpg(told["pid"], signal.SIGKILL)
    process.wait()
    wait_until(lambda: not processes_of(process.pid))
    assert region_names(process.pid), "nothing was left, so nothing was tested"
    start_and_stop(repository)
    assert region_names(process.pid) == []


def test_a_missing_server_says_how_to_install_it(repository, tmp_path):
    environment = {**os.environ, "ENGINEROOM_CACHE": str(tmp_path / "empty")}
    told = subprocess.run(
        [ENGINEROOM, "serve", f"--repository={repository}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert re.fullmatch(r"error: no Triton .* Run: engineroom server install\n", told.stderr)


def test_installing_again_does_nothing_and_says_so(server_installation):
    before = server_installation.folder.stat().st_mtime_ns, server_installation.binary.stat().st_ctime_ns
    told = subprocess.run([ENGINEROOM, "server", "install"], capture_output=True, text=True, check=True)
    assert told.stdout == f"already installed in {server_installation.folder}\n"
    assert (server_installation.folder.stat().st_mtime_ns, server_installation.binary.stat().st_ctime_ns) == before


def start_and_stop(repository, **options):
    with running(ServerOptions(repository, drain_s=0, **options)):
        pass


def executions(server, model):
    with triton.InferenceServerClient(server.grpc) as raw:
        return int(raw.get_inference_statistics(model).model_stats[0].execution_count)


def metrics(server):
    with urllib.request.urlopen(f"http://{server.metrics}/metrics") as answer:
        return answer.read().decode()
