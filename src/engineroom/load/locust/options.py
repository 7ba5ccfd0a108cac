"""The options that our Locust file adds to Locust's own, and what they come to."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import dataclass
from pathlib import Path

from engineroom.errors import BadInput
from engineroom.load.locust.goodput import number_from_option, show_on_page, text_of_number
from engineroom.load.locust.shapes import FORMS
from engineroom.load.thresholds import Thresholds


@dataclass(frozen=True)
class SuiteOptions:
    """What a Locust run is to do, beside Locust's own options.

    Attributes:
        host: Locust's `--host`: the server, as `grpc://HOST:PORT` or `http://HOST:PORT`.
        model: The model to ask.
        batch: Rows of one request.
        timeout_s: Longest wait for an answer; what takes longer is a failure.
        thresholds: What decides the exit status.
        result: File for the result; None writes none.
        slo_ms: Latency that goodput is counted against; None where there is none.
        shape: How the number of users changes; empty where it does not.
    """

    host: str
    model: str
    batch: int
    timeout_s: float
    thresholds: Thresholds
    result: Path | None
    slo_ms: float | None = None
    shape: str = ""


ALONE = "this suite keeps every sample in one process. Leave --master, --worker and --processes out."


def add_options(parser: ArgumentParser) -> None:
    """Listener for Locust's `init_command_line_parser`."""
    _refuse_processes(parser)
    group = parser.add_argument_group("engineroom")
    group.add_argument("--model", default="", help="Model to ask, as it is called on the server.")
    group.add_argument("--batch", type=int, default=1, help="Rows of one request.")
    group.add_argument("--timeout-s", type=float, default=30.0, help="Longest wait for an answer, in seconds.")
    group.add_argument(
        "--max-p95-ms", type=text_of_number, default="", help="Exit with 1 where the 95th percentile is above."
    )
    group.add_argument(
        "--max-p99-ms", type=text_of_number, default="", help="Exit with 1 where the 99th percentile is above."
    )
    group.add_argument("--max-failure-ratio", type=float, default=0.0, help="Exit with 1 where more requests fail.")
    group.add_argument("--result", default="", help="JSON file for the result; the samples go beside it.")
    show_on_page(group)
    # Locust asks for a shape before it reads the form.
    group.add_argument("--shape", default="", help=f"Instead of --users: {FORMS}.")


def options_from_locust(parsed: Namespace, host: str | None) -> SuiteOptions:
    """Read the options.

    Args:
        parsed: Locust's `environment.parsed_options`.
        host: Locust's `environment.host`.

    Raises:
        BadInput: The model or the host is missing, or a limit is no number.
    """
    if not parsed.model:
        raise BadInput("no model is named. Say --model NAME, as in: locust -f perf/locustfile.py --model digits")
    if not host:
        raise BadInput("no server is named. Say --host grpc://127.0.0.1:8001 or --host http://127.0.0.1:8000.")
    return SuiteOptions(
        host=host,
        model=parsed.model,
        batch=parsed.batch,
        timeout_s=parsed.timeout_s,
        thresholds=Thresholds(
            number_from_option(parsed.max_p95_ms, "--max-p95-ms"),
            number_from_option(parsed.max_p99_ms, "--max-p99-ms"),
            parsed.max_failure_ratio,
            number_from_option(parsed.min_goodput_ratio, "--min-goodput-ratio"),
        ),
        result=Path(parsed.result) if parsed.result else None,
        slo_ms=number_from_option(parsed.slo_ms, "--slo-ms"),
        shape=parsed.shape,
    )


def _refuse_processes(parser: ArgumentParser) -> None:
    """Refuse `--processes` where it is read: Locust forks next, and now and then leaves the children behind."""

    def refused(_: str) -> int:
        raise ArgumentTypeError(ALONE)

    for action in parser._actions:
        if action.dest == "processes":
            action.type = refused
