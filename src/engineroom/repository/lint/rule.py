"""A rule: a check with a code, a name, a severity, and a page on what it finds, why it matters and how to mend it.

The page is the docstring of the check: its first line says what is found, the paragraphs behind it why that matters,
and the last one, which begins with `Mend:`, what to do.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engineroom.repository.lint.finding import Finding, Found, Severity

if TYPE_CHECKING:
    from engineroom.repository.lint.case import Case

WIDTH = 120
"""Columns of a rule's page."""

Check = Callable[["Case"], Iterator[Found]]
"""Looks at one configuration and yields what it finds."""


@dataclass(frozen=True)
class Rule:
    """A check with what is to be known of it.

    Attributes:
        code: Its code, such as `ER401`; the first figure is its family.
        name: Its name.
        severity: How bad a finding is.
        refused: Triton refuses to load a configuration with it; tried with the embedded Triton.
        check: The check.
    """

    code: str
    name: str
    severity: Severity
    refused: bool
    check: Check

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """What it finds, why that matters, how to mend it."""
        text = inspect.cleandoc(self.check.__doc__ or "")
        return tuple(re.sub(r"\s+", " ", part).strip() for part in text.split("\n\n"))

    @property
    def finds(self) -> str:
        """What it finds, in a sentence."""
        return self.paragraphs[0]

    @property
    def mend(self) -> str:
        """How to mend it."""
        return self.paragraphs[-1].removeprefix("Mend:").strip()

    @property
    def why(self) -> str:
        """Why it matters."""
        return " ".join(self.paragraphs[1:-1])

    @property
    def page(self) -> str:
        """All of it, in Markdown."""
        verdict = f"{self.severity}, Triton refuses the model" if self.refused else self.severity
        said = textwrap.fill(f"*{verdict}.* {self.finds} {self.why}", WIDTH, break_on_hyphens=False)
        mend = textwrap.fill(f"Mend: {self.mend}", WIDTH, break_on_hyphens=False)
        return f"### {self.code} {self.name}\n\n{said}\n\n{mend}\n"

    def findings(self, case: "Case") -> Iterator[Finding]:
        """What it finds in one configuration."""
        for found in self.check(case):
            anchor = found.anchor
            first = case.text[anchor.start : anchor.end].split("\n")[0]
            yield Finding(
                file=case.path,
                line=anchor.line,
                column=anchor.column,
                length=max(1, len(first)),
                severity=found.severity or self.severity,
                code=self.code,
                rule=self.name,
                reason=found.reason,
                mend=found.mend,
                refused=self.refused if found.refused is None else found.refused,
                edits=found.edits,
            )


def rule(code: str, severity: Severity, *, refused: bool = False) -> Callable[[Check], Rule]:
    """Make a rule of a check; its name is the function's.

    Args:
        code: Its code.
        severity: How bad a finding is.
        refused: Triton refuses to load a configuration with it.
    """
    return lambda check: Rule(code, check.__name__.replace("_", "-"), severity, refused, check)
