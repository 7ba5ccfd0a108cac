"""Why TensorRT's parser takes no graph: which node, which operator, in its own words."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engineroom.errors import CompileError

SHOWN = 3
"""Refusals and nodes that a message names; a graph can have hundreds of either."""


def refusals(parser: Any, graph: Path) -> str:
    """What a parser gave as its reasons; empty where it gave none.

    Args:
        parser: TensorRT's `OnnxParser`, after it refused the graph.
        graph: The ONNX file.

    Raises:
        CompileError: The file is no ONNX graph at all.
    """
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    nodes = _nodes(graph)
    return "; ".join(dict.fromkeys(_words(error, nodes) for error in errors[:SHOWN]))


def _nodes(graph: Path) -> Sequence[Any]:
    """The graph's nodes; none where engines are compiled for service, without the package that reads them."""
    try:
        import onnx
    except ImportError:
        return ()
    try:
        nodes: Sequence[Any] = onnx.load(str(graph), load_external_data=False).graph.node
    except Exception as error:
        raise CompileError(f"{graph}: is no ONNX graph: {error}. Build it again from the module.") from error
    if not nodes:
        raise CompileError(f"{graph}: is no ONNX graph: it has no nodes. Build it again from the module.")
    return nodes


def _words(error: Any, nodes: Sequence[Any]) -> str:
    """Such as `node_det (Det): UNSUPPORTED_NODE`; for some operators TensorRT's whole description is "false"."""
    names, operator, told = [error.node_name()], error.node_operator(), error.desc()
    if not operator:
        found = _meant(error, nodes)
        names, operator = [node.name for node in found], ", ".join(dict.fromkeys(node.op_type for node in found))
    code = getattr(error.code(), "name", "")
    reason = code if told in ("", "false") and code else told
    where = f"{', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''} ({operator})" if operator else "graph"
    return f"{where}: {reason}"


def _meant(error: Any, nodes: Sequence[Any]) -> list[Any]:
    """The nodes of an error that names none: its function is called after the operator, or it tells a value of one."""
    operator = re.sub(r"^[a-z]+", "", error.func())
    found = [node for node in nodes if node.op_type == operator]
    words = set(re.findall(r"[\w./:]+", error.desc()))
    return found or [node for node in nodes if words & {node.name, *node.input, *node.output} - {""}]
