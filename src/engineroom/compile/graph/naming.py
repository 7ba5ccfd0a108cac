"""Names in an ONNX graph: the recipe's at the edges, and no internal value that shares one of them.

PyTorch's exporter writes the names it is given without looking whether an internal value already has them, which
makes an invalid model ("Duplicate definition of name"). So the export runs with names of its own, and the recipe's
are put in here.
"""

from collections.abc import Iterator, Mapping
from typing import Any


def rename(graph: Any, edges: Mapping[str, str]) -> list[str]:
    """Give a graph's inputs and outputs their names; move internal values out of the way.

    Args:
        graph: `onnx.GraphProto`; changed in place, subgraphs included.
        edges: Present name of an input or output to the wanted one.

    Returns:
        Internal values that had a wanted name and got the suffix `_internal`.
    """
    present = set(names_in(graph))
    taken = present.union(edges.values())
    moved = {name: _free(name, taken) for name in edges.values() if name in present and name not in edges}
    _replace(graph, {**moved, **edges})
    return list(moved)


def names_in(graph: Any) -> Iterator[str]:
    """Every value name in a graph and its subgraphs."""
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        yield value.name
    for node in graph.node:
        yield from node.input
        yield from node.output
        for subgraph in subgraphs(node):
            yield from names_in(subgraph)


def _free(name: str, taken: set[str]) -> str:
    candidate = f"{name}_internal"
    while candidate in taken:
        candidate += "_"
    return candidate


def _replace(graph: Any, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for subgraph in subgraphs(node):
            _replace(subgraph, names)


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs that a node holds: branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
