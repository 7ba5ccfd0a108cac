"""How `engineroom config lint` does on the corpus of configurations: what it catches, and what it flags falsely.

python perf/lint.py                    the corpus in tests/corpus
python perf/lint.py --missed           and which cases it misses, flags, or points at another line in
python perf/lint.py --corpus FOLDER    another one, laid out the same way

Caught is a broken configuration with a warning or an error; an error is due where Triton refuses it, which every run of
the tests asks Triton itself. Falsely flagged is a good one of which more than a note is said.
"""

import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click
from lint_bases import publish_bases
from lint_corpus import CORPUS, Case, cases, write

from engineroom.cli import run as run_command
from engineroom.load.conditions import conditions_of_now
from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.finding import Finding
from engineroom.repository.lint.lint import lint_model

REFUSED = ("refuses", "dies", "refuses or dies")
"""What Triton does with a configuration that an error is due for."""


@dataclass(frozen=True)
class Linted:
    """What lint says of a case.

    Attributes:
        case: The case.
        findings: The findings in the configuration that it is about, notes excepted.
        seconds: Time it took for the whole model.
    """

    case: Case
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def error(self) -> bool:
        """Whether there is an error among them."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def placed(self) -> bool:
        """Whether one of them stands where the mistake is."""
        places = self.case.places
        return any(not places or finding.line in places for finding in self.findings)

    @property
    def refused(self) -> bool:
        """Whether lint says that Triton refuses it."""
        return any(finding.refused for finding in self.findings)


def linted(case: Case, model: ModelFolder) -> Linted:
    """Lint one case.

    Args:
        case: The case.
        model: Its model, beside the bases.
    """
    start = time.perf_counter()
    findings = lint_model(model, recipe=case.recipe)
    seconds = time.perf_counter() - start
    path = model.path / case.config
    said = tuple(one for one in findings if one.severity != "note" and one.file == path)
    return Linted(case, said, seconds)


@click.command()
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), default=CORPUS)
@click.option("--missed", is_flag=True, help="List what lint does not say as it should.")
def lint(corpus: Path, missed: bool) -> None:
    """Measure lint on a corpus of configurations."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        publish_bases(repository)
        # The first to be linted brings libraries in.
        lint_model(ModelFolder(repository / "rows"))
        found = [linted(case, write(case, repository)) for case in cases(corpus)]
    broken, good = ([one for one in found if one.case.broken is kind] for kind in (True, False))
    refused = [one for one in broken if one.case.triton in REFUSED]
    click.echo(f"\n{len(broken)} broken configurations, {len(good)} good ones")
    click.echo(line("broken: caught", broken, [one for one in broken if one.findings]))
    click.echo(line("  refused by Triton: caught with an error", refused, [one for one in refused if one.error]))
    others = [one for one in broken if one not in refused]
    click.echo(line("  loaded, or not to be verified: caught", others, [one for one in others if one.findings]))
    click.echo(line("  caught: at the right line", broken, [one for one in broken if one.placed]))
    click.echo(line("good: falsely flagged", good, [one for one in good if one.findings]))
    verdicts = [one for one in found if one.refused and not one.case.triton.startswith("unverified")]
    click.echo(line("lint says that Triton refuses it: it does", verdicts, [one for one in verdicts if one in refused]))
    times_ms = sorted(1000 * one.seconds for one in found)
    click.echo(f"  a model takes {statistics.median(times_ms):.1f} ms in the median, {times_ms[-1]:.1f} ms at most")
    for one in found if missed else ():
        if said := complaint(one):
            click.echo(f"{one.case.name}: {said}")
    conditions = conditions_of_now("python perf/lint.py", {})
    click.echo(f"\n{conditions.machine}, {conditions.cores} cores, {conditions.time}, {conditions.versions}")


def line(what: str, all_of: Iterable[Linted], these: Iterable[Linted]) -> str:
    """One line of the table: how many of how many, and the share."""
    whole, part = len(list(all_of)), len(list(these))
    return f"  {what:<45} {part:>4} of {whole:<4} {part / whole if whole else 1:>7.1%}"


def complaint(one: Linted) -> str:
    """What lint should have said of a case and did not; empty where it is right."""
    said = "; ".join(f"line {found.line}, {found.severity} {found.code}: {found.reason}" for found in one.findings)
    case = one.case
    if not case.broken:
        return said and f"is good, and is flagged: {said}"
    if not said:
        return f"missed. {case.said('mistake')} {case.said('happens')}"
    if case.triton in REFUSED and not one.error:
        return f"Triton {case.triton} it, which wants an error: {said}"
    if case.triton == "loads" and one.refused:
        return f"Triton does not refuse it: {said}"
    return "" if one.placed else f"is at line {sorted(case.places)} or so: {said}"


if __name__ == "__main__":
    run_command(lint)
