"""What a graph holds while it runs, read from OpenVINO's description of it (`model.xml`), without OpenVINO.

A compiled model keeps its weights, code for each layer, and room for the tensors that live at one time: at the widest
place of the graph that is the input and the output of one layer. Element-wise layers do not count, because compilers
fuse them into the layer before.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

HEAVY = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul", "MaxPool", "AvgPool"})
"""Layers whose input and output live together."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Footprint:
    """What a graph holds.

    Attributes:
        weights_bytes: Its stored weights.
        layers: Layers it has, constants apart.
        live_elements: Elements of the widest layer's input and output, for one row.
        all_elements: Elements of every layer's output, for one row: a measure of its work.
        only_batch_varies: Whether nothing but the batch varies between requests.
    """

    weights_bytes: int
    layers: int
    live_elements: int
    all_elements: int
    only_batch_varies: bool


def footprint_from_xml(path: Path, longest: int) -> Footprint | None:
    """Read a graph's description.

    Args:
        path: A `model.xml`, its weights beside it.
        longest: What stands for a size that varies besides the batch: the largest of its profile.

    Returns:
        What it holds; None where the file is missing or is no such description.
    """
    try:
        graph = _Graph(ElementTree.parse(path).getroot(), longest)  # noqa: S314 - a version's own artefact
        weights_bytes = path.with_suffix(".bin").stat().st_size
    except (OSError, ElementTree.ParseError, AttributeError, KeyError, ValueError):
        return None
    return Footprint(weights_bytes, len(graph.working), graph.widest(), graph.work(), graph.only_batch_varies())


class _Graph:
    """Layers, and which of them is fed by which."""

    def __init__(self, root: ElementTree.Element, longest: int) -> None:
        layers, edges = _child(root, "layers"), _child(root, "edges")
        self.longest = longest
        self.types = {layer.attrib["id"]: layer.attrib["type"] for layer in layers}
        self.outputs = {layer.attrib["id"]: _shapes(layer.find("output")) for layer in layers}
        self.sources: dict[str, list[tuple[str, Shape]]] = {identity: [] for identity in self.types}
        ports = {
            (layer.attrib["id"], port.attrib["id"]): _shape(port) for layer in layers for port in layer.iter("port")
        }
        for edge in edges:
            source = edge.attrib["from-layer"]
            self.sources[edge.attrib["to-layer"]].append((source, ports[source, edge.attrib["from-port"]]))
        self.constant = self._constants()
        self.working = [identity for identity in self.types if identity not in self.constant]
        self.heads = max(map(self._split, self.working), default=1)

    def _constants(self) -> set[str]:
        # Layers stand in the order in which they run: what is fed by constants alone is folded into one.
        found: set[str] = set()
        for identity, kind in self.types.items():
            sources = self.sources[identity]
            if kind == "Const" or (sources and all(source in found for source, _ in sources)):
                found.add(identity)
        return found

    def widest(self) -> int:
        heavy = [identity for identity in self.working if self.types[identity] in HEAVY]
        return max((self._elements(identity) for identity in heavy or self.working), default=0)

    def _elements(self, identity: str) -> int:
        taken = (shape for source, shape in self.sources[identity] if source not in self.constant)
        return sum(map(self._row, (*taken, *self.outputs[identity])))

    def work(self) -> int:
        return sum(self._row(shape) for identity in self.working for shape in self.outputs[identity])

    def only_batch_varies(self) -> bool:
        edge = (
            shape for identity, kind in self.types.items() if kind == "Parameter" for shape in self.outputs[identity]
        )
        return all(-1 not in shape[1:] for shape in edge)

    def _row(self, shape: Shape) -> int:
        # Of several sizes that are open besides the batch, one is the number of attention heads.
        opened = _open(shape)
        varying = [self.heads, *[self.longest] * (opened - 1)] if opened > 1 else [self.longest] * opened
        return _fixed(shape) * math.prod(varying)

    def _split(self, identity: str) -> int:
        """Attention heads that a reshape makes of one fixed size, where it leaves their number open; else 1."""
        if self.types[identity] != "Reshape" or not self.sources[identity]:
            return 1
        before, after = self.sources[identity][0][1], self.outputs[identity][0]
        return _fixed(before) // _fixed(after) if (_open(before), _open(after)) == (1, 2) else 1


def _open(shape: Shape) -> int:
    """Sizes that vary besides the batch."""
    return sum(size < 0 for size in shape[1:])


def _fixed(shape: Shape) -> int:
    """Elements of a row, but for the sizes that vary."""
    return math.prod(size for size in shape[1:] if size > 0)


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element:
    found = element.find(name)
    if found is None:
        raise ValueError(f"it has no <{name}>")
    return found


def _shapes(ports: ElementTree.Element | None) -> list[Shape]:
    return [] if ports is None else [_shape(port) for port in ports]


def _shape(port: ElementTree.Element) -> Shape:
    return tuple(int(size.text or 0) for size in port.findall("dim"))
