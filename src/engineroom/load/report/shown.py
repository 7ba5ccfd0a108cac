"""What a report is about: measurements with their requests, and a letter for each."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from engineroom.errors import BadInput, LoadError
from engineroom.load.result import LoadResult, results_from_file
from engineroom.load.samples import Samples, samples_from_result

MOST = 26
"""Measurements on one page: more letters, and more than anybody reads, there are not."""


@dataclass(frozen=True)
class Shown:
    """One measurement on the page.

    Attributes:
        letter: What it is called there.
        source: Name of its file.
        result: Its figures.
        samples: Its requests; None where none were kept.
    """

    letter: str
    source: str
    result: LoadResult
    samples: Samples | None

    @property
    def name(self) -> str:
        """The letter, and what was offered."""
        return f"{self.letter}: {self.result.offered}"

    @property
    def load(self) -> tuple[str, str, str, int, str]:
        """What the measurements of one line in the picture of throughput have in common."""
        one = self.result
        return (one.model, one.tool, one.protocol, one.rows_per_request, self.source)


@dataclass(frozen=True)
class Figure:
    """A picture with its figures.

    Attributes:
        title: What it shows.
        picture: The drawing.
        legend: What is what in it; None where there is nothing to tell apart.
        table: Its figures.
        words: How to read it.
        of: Letters of the measurements in it.
    """

    title: str
    picture: Element
    legend: Element | None
    table: Element
    words: str
    of: tuple[str, ...]


def shown_from_files(paths: tuple[Path, ...]) -> tuple[Shown, ...]:
    """Read results and their requests, in the order given.

    Raises:
        LoadError: A file holds no results, or its samples are missing.
        BadInput: There are too many for one page.
    """
    found = [(path, result) for path in paths for result in _results(path)]
    if len(found) > MOST:
        raise BadInput(f"{len(found)} measurements are too many for one page, {MOST} fit. Name fewer files.")
    return tuple(
        Shown(chr(ord("A") + number), path.name, result, samples_from_result(path, result))
        for number, (path, result) in enumerate(found)
    )


def _results(path: Path) -> tuple[LoadResult, ...]:
    results = results_from_file(path)
    if not results:
        raise LoadError(f"{path}: holds no measurement. Measure again, with --output.")
    return results


def shortened(figure: float | None) -> str:
    """A figure in four digits, for a table."""
    if figure is None:
        return "–"  # noqa: RUF001 - what stands in a table where there is nothing
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.4g}"
