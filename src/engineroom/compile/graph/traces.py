"""What an exporter leaves in a graph besides the graph: source lines, paths of this machine, its own numbering.

Without it, two clean builds of the same recipe give the same bytes, and nothing of the building machine is published.
"""

from typing import Any

from engineroom.compile.graph.naming import subgraphs


def remove_traces(model: Any) -> None:
    """Take metadata and doc strings out of a model.

    Args:
        model: `onnx.ModelProto`; changed in place, subgraphs included.
    """
    del model.metadata_props[:]
    model.doc_string = ""
    _clean(model.graph)


def _clean(graph: Any) -> None:
    parts = (graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer, *graph.node)
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""
    for node in graph.node:
        for subgraph in subgraphs(node):
            _clean(subgraph)
