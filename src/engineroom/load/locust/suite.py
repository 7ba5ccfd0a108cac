"""What stands behind `perf/locustfile.py`: Locust's events lead from preparing to judging at the end."""

import inspect
import itertools
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NoReturn

import click

from engineroom.client import Client, RetryPolicy
from engineroom.client.protocol.transport import Arrays
from engineroom.errors import BadInput, CallError, EngineRoomError, GoldenMismatch, LoadError
from engineroom.load.locust.goodput import GoodputPlugin
from engineroom.load.locust.options import ALONE, add_options, options_from_locust
from engineroom.load.locust.result import Measured, Plan, plan_from_options, result_from_measured
from engineroom.load.locust.shapes import locust_shape, stages_from_text
from engineroom.load.outcome import Outcome, outcome_from_error
from engineroom.load.result import LoadResult
from engineroom.load.served import spent_where_told
from engineroom.load.table import text_from_results
from engineroom.project import Project
from engineroom.repository.golden import Golden
from engineroom.repository.layout import Repository


class Suite:
    """The state of one Locust process: a plan, what was measured, and Locust's events that lead from one to the next.

    Args:
        events: Locust's events of the process.
    """

    def __init__(self, events: Any) -> None:
        self.plan: Plan | None = None
        self.problem: EngineRoomError | None = None
        self.measured = Measured()
        self.result: LoadResult | None = None
        self.verdict: EngineRoomError | None = None
        # What it counts stands in Locust's tables; the verdict is the result's.
        GoodputPlugin().listen(events)
        events.init_command_line_parser.add_listener(add_options)
        events.init.add_listener(self._on_init)
        events.test_start.add_listener(self._on_test_start)
        events.spawning_complete.add_listener(self._on_spawning_complete)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.test_stop.add_listener(self._on_test_stop)
        events.quitting.add_listener(self._on_quitting)
        events.quit.add_listener(self._on_quit)

    def client(self) -> Client:
        """A client for one user, warmed up by one right answer that is not measured.

        It repeats nothing, as a repetition would hide that the first attempt has failed, and it does not use shared
        memory, as callers elsewhere cannot.

        Raises:
            StopTest: Nothing is prepared, or the answer is wrong or missing. Locust prints its text and stops.
        """
        from locust.exception import StopTest

        try:
            if self.plan is None:
                raise self.problem or BadInput("nothing is prepared. Name a model and a server.")
            url, timeout_s = self.plan.served.address.url, self.plan.options.timeout_s
            with ExitStack() as stack:
                client = Client(url, timeout_s=timeout_s, shared_memory=False, retry=RetryPolicy(attempts=1))
                stack.callback(client.close)
                golden = self.plan.batches[0]
                golden.check(client.infer(golden.model, golden.inputs))
                stack.pop_all()
        except EngineRoomError as error:
            self.problem = error
            raise StopTest(str(error)) from error
        return client

    def batches(self) -> Iterator[Golden]:
        """Golden inputs with their answers, round and round."""
        return itertools.cycle(self.plan.batches if self.plan else ())

    def ask(self, environment: Any, client: Client, golden: Golden) -> None:
        """Ask for an answer, compare it, and report both to Locust and to the result.

        Args:
            environment: Locust's.
            client: The user's.
            golden: What to ask, and what must be answered.
        """
        sent_s = time.perf_counter()
        answer: Arrays = {}
        failure: EngineRoomError | None = None
        outcome = Outcome.RIGHT
        try:
            answer = client.infer(golden.model, golden.inputs)
        except CallError as error:
            failure, outcome = error, outcome_from_error(error)
        latency_ms = (time.perf_counter() - sent_s) * 1000
        if failure is None:
            try:
                golden.check(answer)
            except GoldenMismatch as error:
                failure, outcome = error, Outcome.WRONG
        self.measured.recorder.add(sent_s, latency_ms, outcome)
        environment.events.request.fire(
            request_type=self._protocol,
            name=golden.model,
            response_time=latency_ms,
            response_length=sum(array.nbytes for array in answer.values()),
            exception=failure,
        )

    @property
    def _protocol(self) -> str:
        return self.plan.served.address.scheme if self.plan else ""

    def _on_init(self, environment: Any, **_: Any) -> None:
        _show_short_latencies()
        _interrupt_nobody()
        options = environment.parsed_options
        if options is None or options.master or options.worker:
            _end(LoadError(ALONE))
        try:
            if options.shape:
                environment.shape_class = locust_shape(stages_from_text(options.shape))
                environment.shape_class.runner = environment.runner
            if environment.web_ui is None:
                self._prepare(environment)
        except EngineRoomError as error:
            _end(error)

    def _prepare(self, environment: Any) -> None:
        assert environment.parsed_options is not None, "checked when Locust started"  # noqa: S101
        options = options_from_locust(environment.parsed_options, environment.host)
        self.plan = plan_from_options(options, Repository(Project.find().repository))
        # Requests in flight at the end are waited for: leaving out the slowest would flatter the tail.
        environment.stop_timeout = max(environment.stop_timeout, options.timeout_s + 1)

    def _on_test_start(self, environment: Any, **_: Any) -> None:
        self.measured, self.problem = Measured(), None
        # On Locust's page, the server and the options may be others at every start.
        if environment.web_ui is not None:
            self.plan = None
            try:
                self._prepare(environment)
            except EngineRoomError as error:
                self.problem = error

    def _on_spawning_complete(self, user_count: int, **_: Any) -> None:
        if self.plan is not None:
            # Locust inspects its own stack when it stops. The first look at one takes some 50 ms, during which no
            # greenlet runs: the last requests would carry them.
            inspect.stack()
            self.measured.users = max(self.measured.users, user_count)
            if self.measured.begin_s == float("inf"):
                self.measured.spent = spent_where_told(self.plan.served)
                self.measured.begin_s = time.perf_counter()

    def _on_test_stopping(self, **_: Any) -> None:
        self.measured.end_s = time.perf_counter()

    def _on_test_stop(self, environment: Any, **_: Any) -> None:
        if self.plan is None:
            return
        try:
            if self.problem is not None:
                raise self.problem
            self.result = result_from_measured(self.plan, self.measured)
            self.plan.options.thresholds.check((self.result,))
        except EngineRoomError as error:
            self.verdict = error
        environment.process_exit_code = 1 if self.verdict else 0
        if environment.web_ui is not None:
            self._report()

    def _on_quitting(self, environment: Any, **_: Any) -> None:
        # After Ctrl-C, Locust decides the exit status before it stops the users.
        if environment.runner is not None:
            environment.runner.stop()

    def _on_quit(self, **_: Any) -> None:
        # The last of Locust's events, after its own tables.
        self._report()

    def _report(self) -> None:
        if self.result is not None:
            click.echo("\n" + text_from_results((self.result,)))
        if self.verdict is not None:
            click.echo(f"error: {self.verdict}", err=True)
        self.result, self.verdict = None, None


def _show_short_latencies() -> None:
    """Let Locust keep three digits: it rounds to whole milliseconds, and by default a fast model is all zeros."""
    from locust import stats

    def three_digits(response_time: float) -> float:
        return float(f"{response_time:.3g}")

    stats.bucket_response_time = three_digits  # type: ignore[assignment]


def _interrupt_nobody() -> None:
    """Let Ctrl-C end the run from outside the users.

    Python raises KeyboardInterrupt in whichever greenlet runs. Within a gRPC call that leaves the channel's lock
    taken, and the process waits for it forever when the channel is collected.
    """
    import gevent

    def interrupt() -> None:
        # gevent hands it on to the main greenlet, where Locust waits for it.
        raise KeyboardInterrupt

    gevent.signal_handler(signal.SIGINT, interrupt)


def _end(error: EngineRoomError) -> NoReturn:
    """End the process before the first user: nothing has been measured."""
    click.echo(f"error: {error}", err=True)
    sys.exit(1)
