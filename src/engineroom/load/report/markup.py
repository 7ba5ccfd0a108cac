"""Elements of the page. What strangers wrote is text here, and is escaped when the page is written."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str | None


def tag(name: str, /, *children: Child, **attributes: str | float) -> Element:
    """An element.

    Args:
        name: Its name, of HTML or SVG.
        children: Elements and text, in order; None is left out.
        attributes: `class_` is `class`, an underscore within a name a hyphen; numbers are kept to a tenth.
    """
    texts = {key.rstrip("_").replace("_", "-"): _text(value) for key, value in attributes.items()}
    element = Element(name, texts)
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif child is not None:
            _append_text(element, child)
    return element


def table(head: Iterable[str], rows: Iterable[Iterable[str]], words: str) -> Element:
    """A table of figures; the first cell of a row names it.

    Args:
        head: Headings.
        rows: Cells.
        words: What a screen reader says before it.
    """
    body = []
    for row in rows:
        first, *others = row
        body.append(tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in others)))
    headings = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    inner = tag("table", tag("caption", words), tag("thead", headings), tag("tbody", *body))
    return tag("div", inner, class_="scroll")


def html_from_element(page: Element) -> str:
    """The text of a whole page."""
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def _append_text(element: Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text
