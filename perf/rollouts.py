"""Changes and rollbacks under steady load: is a request dropped, an answer wrong, a version seen that should not be?

python perf/rollouts.py --times 200      about ten minutes
python perf/rollouts.py --times 10

Callers send at a steady rate, over gRPC and HTTP, whatever the answers do. Meanwhile versions are published, promoted,
rolled back and retired, settings applied and taken back; a tenth of the changes is broken on purpose and must be taken
back. Every answer tells which version gave it: only the one served, or during a change the one before and the one
after, may have.
"""

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import numpy as np
from marked import WIDTH, configure, publish_next

from engineroom.cli import run as run_command
from engineroom.client import Client, RetryPolicy
from engineroom.errors import CallError, ChangeTakenBack, EngineRoomError
from engineroom.load.conditions import conditions_of_now
from engineroom.operate.apply import Options, apply
from engineroom.operate.control import controls
from engineroom.operate.plan import Request
from engineroom.operate.rollback import taking_back
from engineroom.operate.versions import before_promotion, promote, retire, rollback, superfluous
from engineroom.repository.config import config_from_text
from engineroom.repository.history import history
from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.lint import lint_model
from engineroom.repository.pbtxt.edit import edited
from engineroom.repository.policy import current_version, served_versions
from engineroom.serve.server import Server, ServerOptions, running

BY = "rollouts@bench"
DELAY = "dynamic_batching.max_queue_delay_microseconds"


@dataclass
class Callers:
    """Callers that keep a schedule, and what they have seen.

    Attributes:
        server: The server.
        per_s: Requests a second, all callers together.
        allowed: Versions that may answer now.
        seen: Answers by version.
        failed: What requests failed with.
        wrong: Answers of a version that may not answer, or of none.
        late_ms: How late requests were sent, in milliseconds.
    """

    server: Server
    per_s: float
    allowed: frozenset[int]
    seen: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> list[threading.Thread]:
        """Start four callers, two a protocol."""
        urls = (f"grpc://{self.server.grpc}", f"http://{self.server.http}") * 2
        threads = [threading.Thread(target=self._call, args=(url, len(urls), index)) for index, url in enumerate(urls)]
        for thread in threads:
            thread.start()
        return threads

    def _call(self, url: str, callers: int, index: int) -> None:
        every_s = callers / self.per_s
        due = time.monotonic() + every_s * index / callers
        x = np.ones((1, WIDTH), np.float32)
        with Client(url, retry=RetryPolicy(attempts=1)) as client:
            while not self.stopped.is_set():
                time.sleep(max(0.0, due - time.monotonic()))
                self.late_ms.append((time.monotonic() - due) * 1e3)
                before = self.allowed
                try:
                    self._judge(client.infer("marked", {"x": x})["y"], before)
                except CallError as error:
                    self.failed.append(str(error))
                due += every_s

    def _judge(self, answer: np.ndarray, before: frozenset[int]) -> None:
        # A request that was on its way while a change ended may have been answered by what was served when it left.
        version, may = int(answer.flat[0]), before | self.allowed
        self.seen[version] += 1
        if version not in may or not np.all(answer == version):
            self.wrong.append(f"{answer.flat[0]} where {sorted(may)} may answer")


@dataclass
class Floor:
    """What the changes are made to."""

    model: ModelFolder
    options: Options
    callers: Callers
    scratch: Path
    chance: random.Random

    @property
    def request(self) -> Request:
        """A change by the benchmark."""
        return Request("apply", by=BY)

    def during(self, target: int | None, change: Callable[[], object]) -> None:
        """Make a change; while it is made, the version before and the one after may answer."""
        served = self.callers.allowed
        self.callers.allowed = served | {target} if target else served
        change()
        self.callers.allowed = frozenset({current_version(self.model) or 0})

    def publish_and_promote(self) -> None:
        """Publish a version, promote it, and retire old ones."""
        number = publish_next(self.model, self.scratch)
        self.during(number, lambda: promote(self.model, number, self.request, self.options))
        old = superfluous(self.model, 4, self.options.servers)
        retire(self.model, old, self.request, self.options.servers)

    def promote_broken(self) -> None:
        """Promote a version that answers otherwise than its golden answer: it must not be served."""
        number = publish_next(self.model, self.scratch, spoiled=True)

        def change() -> None:
            try:
                promote(self.model, number, self.request, self.options)
            except ChangeTakenBack:
                return
            raise EngineRoomError(f"version {number} answers wrongly and was promoted")

        self.during(None, change)

    def go_back(self) -> None:
        """Take the last promotion back; promote something where there is none."""
        try:
            target = before_promotion(self.model)[1][0]
        except EngineRoomError:
            target = 0
        if target not in self.model.versions:
            self.publish_and_promote()
        else:
            self.during(target, lambda: rollback(self.model, self.request, self.options))

    def set_delay(self) -> None:
        """Apply a setting."""
        path, delay = self.model.cpu_config, str(self.chance.randrange(0, 2000, 100) or "")
        change = Request("apply", lambda texts: {path: edited(texts[path], path, {DELAY: delay})}, by=BY)
        self.during(None, lambda: apply(self.model, change, self.options))

    def take_back(self) -> None:
        """Take the last setting back."""
        if not history(self.model) or history(self.model)[-1].action != "apply":
            self.set_delay()
        texts, undoes = taking_back(self.model)
        change = Request("rollback", texts, by=BY, undoes=undoes)
        # Where the setting was set to what it was, the last change that stands is a promotion.
        path = self.model.cpu_config
        (target,) = served_versions(config_from_text(texts({})[path], path), self.model.versions)
        self.during(target, lambda: apply(self.model, change, self.options))


def exercise(floor: Floor, times: int) -> Counter[str]:
    """Make changes, one after the other.

    Args:
        floor: What to.
        times: How many.

    Returns:
        How many of each kind.
    """
    done: Counter[str] = Counter()
    kinds = (floor.publish_and_promote, floor.go_back, floor.set_delay, floor.take_back)
    for number in range(1, times + 1):
        kind = floor.promote_broken if number % 10 == 0 else floor.chance.choice(kinds)
        kind()
        done[kind.__name__.replace("_", " ")] += 1
        if number % 20 == 0:
            click.echo(f"{number} of {times}, {len(floor.callers.failed)} failed, {len(floor.callers.wrong)} wrong")
    return done


@click.command()
@click.option("--times", default=200, show_default=True, type=click.IntRange(1), help="Changes.")
@click.option("--per-s", default=40.0, show_default=True, help="Requests a second.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of changes.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the result here as JSON.")
def main(times: int, per_s: float, seed: int, output: Path | None) -> None:
    """Make changes under steady load, and count what callers met."""
    with tempfile.TemporaryDirectory(prefix="engineroom-rollouts-") as folder:
        root = Path(folder)
        model = configure(root / "model_repository")
        first = publish_next(model, root / "scratch")
        with running(ServerOptions(model.path.parent)) as server:
            callers = Callers(server, per_s, frozenset({first}))
            options = Options(controls(model.path.parent, (), {}), observe_s=0)
            floor = Floor(model, options, callers, root / "scratch", random.Random(seed))  # noqa: S311 - not a secret
            began, threads = time.monotonic(), callers.start()
            try:
                done = exercise(floor, times)
            finally:
                callers.stopped.set()
                for thread in threads:
                    thread.join()
            result = _result(floor, done, time.monotonic() - began)
    click.echo(json.dumps(result, indent=2))
    if output:
        output.write_text(json.dumps(result, indent=2) + "\n")
    if callers.failed or callers.wrong or result["findings"]:
        raise EngineRoomError("callers met something of the changes")


def _result(floor: Floor, done: Counter[str], seconds: float) -> dict[str, object]:
    callers = floor.callers
    findings = [one.sentence for one in lint_model(floor.model) if one.severity != "note"]
    return {
        "changes": dict(done),
        "history": dict(Counter(one.outcome for one in history(floor.model))),
        "seconds": round(seconds, 1),
        "requests": sum(callers.seen.values()) + len(callers.failed),
        "failed": len(callers.failed),
        "first failures": callers.failed[:3],
        "wrong": len(callers.wrong),
        "first wrong": callers.wrong[:3],
        "versions that answered": len(callers.seen),
        "sent late, p99 ms": round(float(np.percentile(callers.late_ms, 99)), 1),
        "findings": findings,
        "conditions": asdict(
            conditions_of_now(f"python perf/rollouts.py --times {done.total()}", {"triton": "2.51.0"})
        ),
    }


if __name__ == "__main__":
    run_command(main)
