"""What `engineroom doctor` concludes: from what is here, to what works here."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engineroom.cli.probes import BROKEN, OK, Check, probes
from engineroom.project import Project


@dataclass(frozen=True)
class Ability:
    """One thing that engineroom does.

    Attributes:
        name: The command.
        part: `build`, `serve` or `load`.
        needs: Names of the checks that must be `ok`.
    """

    name: str
    part: str
    needs: tuple[str, ...]


ABILITIES = (
    Ability("build --target openvino", "build", ("toolchain", "openvino")),
    Ability("build --target tensorrt-rtx:smNN", "build", ("toolchain", "tensorrt-rtx")),
    Ability("build --target tensorrt", "build", ("gpu", "tensorrt", "toolchain")),
    Ability("models engines", "build", ("gpu", "tensorrt")),
    Ability("serve, embedded server", "serve", ("embedded server", "shared memory")),
    Ability("serve, in the container", "serve", ("container", "gpu")),
    Ability("load locust", "load", ("locust",)),
    Ability("load perf-analyzer", "load", ("perf_analyzer",)),
)


@dataclass(frozen=True)
class Verdict:
    """Whether an ability can be used here.

    Attributes:
        name: The ability.
        part: `build`, `serve` or `load`.
        works: Whether all that it needs is here.
        problem: What it lacks first; empty where it works.
        mend: The command that mends that; empty where it works, or no command helps.
    """

    name: str
    part: str
    works: bool
    problem: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Checkup:
    """All that was found.

    Attributes:
        checks: What was looked at.
        verdicts: What works here.
    """

    checks: tuple[Check, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def usable(self) -> bool:
        """Whether models can be built, and served, in one way at least."""
        return {"build", "serve"} <= {verdict.part for verdict in self.verdicts if verdict.works}


def check_up(project: Project) -> Checkup:
    """Look at this machine.

    Args:
        project: Whose disk is looked at.
    """
    asked = probes(project)
    # Most of the time goes into loading libraries, each in an interpreter of its own.
    with ThreadPoolExecutor(2) as pool:
        checks = tuple(pool.map(_finding, asked, asked.values()))
    return Checkup(checks, tuple(_verdicts({check.name: check for check in checks})))


def _finding(name: str, probe: Callable[[], Check]) -> Check:
    try:
        return probe()
    except Exception as error:  # noqa: BLE001 - what keeps a probe from its answer is the answer
        return Check(name, BROKEN, "cannot be told", f"{type(error).__name__}: {error}")


def _verdicts(checks: Mapping[str, Check]) -> Iterator[Verdict]:
    for ability in ABILITIES:
        lacking = next((checks[name] for name in ability.needs if checks[name].state != OK), None)
        if lacking:
            yield Verdict(ability.name, ability.part, False, lacking.problem, lacking.mend)
        else:
            yield Verdict(ability.name, ability.part, True)
