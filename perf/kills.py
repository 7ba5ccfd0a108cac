"""What `kill -9` leaves behind: a process is killed at random moments, and what it worked on is looked at.

python perf/kills.py push --times 50      a push: the store's current head is the old or the new one, and whole
python perf/kills.py pull --times 50      a pull: the repository serves the old or the new version, and lints clean
python perf/kills.py publish --times 50   a publication: the newest version is the old or the new one, and whole
python perf/kills.py apply --times 50     a promotion on a running Triton: it serves the old or the new version
"""

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from kill_case import Case, old_or_new
from kills_operating import Apply, Publish

from engineroom.cli import run as run_command
from engineroom.errors import LoadError
from engineroom.repository.layout import ModelFolder, Repository
from engineroom.repository.lint.lint import lint_model
from engineroom.repository.policy import served_by
from engineroom.store.address import store_from_url
from engineroom.store.check import check
from engineroom.store.local import version_files
from engineroom.store.pull import PullOptions, pull
from engineroom.store.push import PushOptions, push

CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: 4
input {{ name: "x" data_type: TYPE_FP32 dims: [8] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [8] }}
dynamic_batching {{
  default_queue_policy {{ timeout_action: REJECT default_timeout_microseconds: 100000 max_queue_size: 64 }}
}}
instance_group {{ count: 1 kind: KIND_CPU }}
version_policy {{ specific {{ versions: [{version}] }} }}
"""


class Push(Case):
    """A push to a store in a folder."""

    @property
    def here(self) -> Repository:
        """The repository that is pushed."""
        return Repository(self.folder / "here")

    @property
    def url(self) -> str:
        """The store."""
        return str(self.folder / "store")

    def prepare(self, number: int) -> None:
        """Publish a version and a configuration that serves it."""
        if number == 1:
            _publish(self.here, 1)
            push(self.here, store_from_url(self.url), PushOptions())
        _publish(self.here, number + 1)

    def work(self, number: int) -> None:
        """Push it."""
        push(self.here, store_from_url(self.url), PushOptions(why=f"round {number}"))

    def state(self, number: int) -> str:
        """Whether the current head is the old or the new one, with all that it points to."""
        done = check(store_from_url(self.url))
        if done.problems:
            raise LoadError(f"round {number}: {done.problems[0]}")
        versions = store_from_url(self.url).snapshot(done.head).models["model"].versions
        return old_or_new(number, max(versions))


class Pull(Push):
    """A pull from a store in a folder."""

    @property
    def there(self) -> Repository:
        """The repository that is pulled into."""
        return Repository(self.folder / "there")

    def prepare(self, number: int) -> None:
        """Publish and push a version and a configuration that serves it."""
        super().prepare(number)
        if number == 1:
            pull(self.there, store_from_url(self.url), PullOptions())
        super().work(number)

    def work(self, number: int) -> None:  # noqa: ARG002 - as every case
        """Pull it."""
        pull(self.there, store_from_url(self.url), PullOptions())

    def state(self, number: int) -> str:
        """Whether the configuration serves the old or the new version, which is whole, and lints clean."""
        model = self.there.model("model")
        store = store_from_url(self.url)
        theirs = store.snapshot(check(store, quick=True).head).models["model"]
        for version in {*model.versions} & {*theirs.versions}:
            if version_files(model.version(version)) != theirs.versions[version]:
                raise LoadError(f"round {number}: version {version} is not what was pushed")
        if errors := [one for one in lint_model(model) if one.severity == "error"]:
            raise LoadError(f"round {number}: {errors[0].reason}")
        (served,) = served_by(model)["config.pbtxt"]
        return old_or_new(number, served)


CASES: dict[str, type[Case]] = {"push": Push, "pull": Pull, "publish": Publish, "apply": Apply}


@dataclass(frozen=True)
class Kills:
    """What was found.

    Attributes:
        case: What was killed.
        seed: What the moments were drawn from.
        times: How often it was killed.
        old: How often the state before stood after the kill.
        new: How often the new one did.
        whole_ms: Median time of the work from its first action to its end, where nobody kills it.
    """

    case: str
    seed: int
    times: int
    old: int
    new: int
    whole_ms: float


@click.command()
@click.argument("name", type=click.Choice([*CASES]))
@click.option("--times", default=50, show_default=True, help="How often to kill.")
@click.option("--seed", default=1, show_default=True, help="Draws the moments.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--child", nargs=2, hidden=True, help="Folder and round: do the work here.")
def kills(name: str, times: int, seed: int, as_json: bool, child: tuple[str, str] | None) -> None:
    """Kill a process at random moments; exit with 1 where something is half-done."""
    if child is not None:
        case = CASES[name](Path(child[0]))
        click.echo("ready")
        case.work(int(child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = CASES[name](Path(folder))
        try:
            found = killed_at_random(name, work, times, seed)
        finally:
            work.end()
    click.echo(json.dumps(asdict(found), indent=2) if as_json else _text(found))


def killed_at_random(name: str, case: Case, times: int, seed: int) -> Kills:
    """Kill the work of a case, look at what stands, and let it be done to its end, again and again.

    Args:
        name: The case's name.
        case: The case, in an empty folder.
        times: How often.
        seed: Draws the moments, evenly over the time that the work takes.

    Raises:
        LoadError: What stands is neither the old state nor the new one.
    """
    draw, number = random.Random(seed), 0  # noqa: S311 - a repeatable draw is the point
    whole_s: list[float] = []
    states: list[str] = []
    while len(states) < times:
        number += 1
        case.prepare(number)
        # Two rounds say how long the work takes; so does every later one that was over before its moment came.
        moment_s = draw.uniform(0, statistics.median(whole_s)) if number > 2 else None
        took_s, ended = _run(name, case, number, moment_s)
        if ended:
            whole_s.append(took_s)
            continue
        states.append(case.state(number))
        case.work(number)
        if case.state(number) != "new":
            raise LoadError(f"round {number}: the work done again to its end did not bring the new state")
    whole_ms = 1e3 * statistics.median(whole_s)
    return Kills(name, seed, times, states.count("old"), states.count("new"), whole_ms)


def _run(name: str, case: Case, number: int, after_s: float | None) -> tuple[float, bool]:
    """Do the work in a process of its own, and kill it after a time; how long it took, and whether it ended."""
    command = [sys.executable, __file__, name, "--child", str(case.folder), str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        process.stdout.readline()
        began = time.perf_counter()
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.kill()
        status = process.wait()
        took_s = time.perf_counter() - began
    if status not in (0, -9):
        raise LoadError(f"round {number}: the process ended with {status}")
    return took_s, status == 0


def _publish(repository: Repository, version: int) -> None:
    """A version with a few megabytes that nobody has seen before, a configuration that serves it; three are kept."""
    model = ModelFolder(repository.path / "model")
    folder = model.version(version)
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(f"# version {version}\nclass TritonPythonModel:\n    pass\n")
    draw = random.Random(version)  # noqa: S311 - repeatable
    for number in range(8):
        (folder / f"weights{number}.bin").write_bytes(draw.randbytes(400_000))
    model.config.write_text(CONFIG.format(name="model", version=version))
    for old in model.versions[:-3]:
        shutil.rmtree(model.version(old))


def _text(found: Kills) -> str:
    return (
        f"{found.case}: killed at {found.times} moments within the {found.whole_ms:.0f} ms that it takes; "
        f"{found.old} times the old state stood, {found.new} times the new one, never another"
    )


if __name__ == "__main__":
    run_command(kills)
