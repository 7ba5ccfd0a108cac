"""A Locust run of ours: what it is to send, what it has gathered, and what that comes to."""

import sys
from dataclasses import dataclass, field, replace

from engineroom.client.check import checked
from engineroom.errors import LoadError
from engineroom.load.conditions import conditions_of_now
from engineroom.load.locust.options import SuiteOptions
from engineroom.load.result import LoadResult, Offered, results_to_file
from engineroom.load.samples import (
    Recorder,
    Samples,
    goodput_from_samples,
    latency_from_samples,
    samples_beside,
    samples_to_file,
)
from engineroom.load.served import ServedModel, Spent, address_from_options, served_model, spent_where_told
from engineroom.repository.golden import Golden, golden_from_repository
from engineroom.repository.layout import Repository


@dataclass(frozen=True)
class Plan:
    """A run that is ready to begin.

    Attributes:
        options: What was asked for.
        served: The model on its server.
        batches: What users send, in turn, and what must be answered.
    """

    options: SuiteOptions
    served: ServedModel
    batches: tuple[Golden, ...]


@dataclass
class Measured:
    """What a run has gathered so far.

    Attributes:
        recorder: Every request.
        users: How many send, or have sent where their number changes.
        begin_s: When the users had first been started, monotonic; infinite before.
        end_s: When the users were told to stop, monotonic; infinite before.
        spent: Triton's counters at the beginning.
    """

    recorder: Recorder = field(default_factory=Recorder)
    users: int = 0
    begin_s: float = float("inf")
    end_s: float = float("inf")
    spent: Spent | None = None


def plan_from_options(options: SuiteOptions, repository: Repository) -> Plan:
    """Ask the server for the model, and take its golden inputs.

    Raises:
        EngineRoomError: The server or the model is not there, or the golden inputs are not what the model takes.
    """
    served = served_model(address_from_options(options.host, None), options.model)
    served.check_batch(options.batch)
    golden = golden_from_repository(repository, options.model, int(served.version))
    batches = golden.batches(options.batch)
    checked(served.metadata, batches[0].inputs)
    return Plan(options, served, batches)


def result_from_measured(plan: Plan, measured: Measured) -> LoadResult:
    """Sum a run up, and write it where it is wanted.

    Raises:
        LoadError: Nothing was measured, or the files cannot be written.
    """
    samples = measured.recorder.samples().between(measured.begin_s, measured.end_s)
    if not len(samples):
        raise LoadError(
            f"{plan.served.name}: the run ended before a request was measured. See above, or run for longer."
        )
    spent, options = spent_where_told(plan.served), plan.options
    versions = {"locust": _locust_version(), "server": plan.served.server, plan.served.name: plan.served.version}
    duration_s = samples.last_end_s - measured.begin_s
    result = LoadResult(
        tool="locust",
        model=plan.served.name,
        protocol=plan.served.address.scheme,
        offered=Offered("users", measured.users, options.shape),
        duration_s=duration_s,
        requests=len(samples),
        failures=int(samples.failed.sum()),
        rows_per_request=options.batch,
        latency=latency_from_samples(samples.latency_ms),
        goodput=None if options.slo_ms is None else goodput_from_samples(samples, options.slo_ms, duration_s),
        failed=samples.failed_by_kind,
        conditions=conditions_of_now(" ".join(["locust", *sys.argv[1:]]), versions),
        server=spent.since(measured.spent) if spent and measured.spent else None,
    )
    return _written(result, samples, options)


def _written(result: LoadResult, samples: Samples, options: SuiteOptions) -> LoadResult:
    if options.result is None:
        return result
    beside = samples_beside(options.result)
    samples_to_file(samples, beside)
    result = replace(result, samples=beside.name)
    results_to_file((result,), options.result)
    return result


def _locust_version() -> str:
    from importlib.metadata import version

    return version("locust")
