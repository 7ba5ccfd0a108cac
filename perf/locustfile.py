"""Locust users for models behind Triton. Yours to edit.

    locust -f perf/locustfile.py --host grpc://127.0.0.1:8001 --model efficientnet_lite0 --users 8

opens Locust's page on port 8089; with `--headless --run-time 10s` it measures at once. `--host http://HOST:8000` asks
over HTTP. `--slo-ms 50` counts goodput. `--shape steps:2:10,8:10`, `spikes:4:40:30:5:3` or `soak:8:3600` changes the
number of users. `--max-p95-ms`, `--max-p99-ms`, `--max-failure-ratio` and `--min-goodput-ratio` decide the exit status,
`--result FILE` keeps the figures and every request.
Users ask with `engineroom.client.Client`. They send a model's golden inputs, so every answer is known and compared: a
wrong one is a failure.
"""

import grpc.experimental.gevent
from locust import User, constant, events, task
from locust.env import Environment

from engineroom.load.locust.suite import Suite

# Locust runs users as greenlets: without this, one user's call would stop all the others.
grpc.experimental.gevent.init_gevent()

suite = Suite(events)


class TritonUser(User):
    """Asks, waits for the answer, asks again, as an application does with its client.

    The scheme of `--host` says over which protocol.
    """

    # Give users time to think with locust.between(0.5, 2), or pace them with locust.constant_throughput(10).
    wait_time = constant(0)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # A client and a connection of one's own, warmed up before the measurement begins.
        self.client = suite.client()
        self.batches = suite.batches()

    def on_stop(self) -> None:
        """Give the connection back."""
        self.client.close()

    @task
    def infer(self) -> None:
        """One measured request."""
        suite.ask(self.environment, self.client, next(self.batches))
