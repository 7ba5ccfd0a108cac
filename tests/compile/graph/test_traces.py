import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import onnx.parser

from engineroom.compile.graph.traces import remove_traces
from engineroom.project import Project
from engineroom.repository.layout import GRAPH

NESTED = """
<ir_version: 10, opset_import: ["": 20], doc_string: "of the model">
chosen (bool c, float[2] x) => (float[2] y)
{
    y = If (c) <
        then_branch = then () => (float[2] a) { a = Neg(x) },
        else_branch = other () => (float[2] b) { b = Abs(x) }
    >
}
"""


def test_traces_go_from_every_part_and_from_branches() -> None:
    model = onnx.parser.parse_model(NESTED)
    branch = model.graph.node[0].attribute[0].g
    parts = [model.graph, model.graph.input[0], model.graph.node[0], branch, branch.node[0]]
    for part in parts:
        part.doc_string = "line 7 of /home/somebody/model.py"
        part.metadata_props.add(key="stack_trace", value="/home/somebody/model.py")
    remove_traces(model)
    assert b"somebody" not in model.SerializeToString()
    onnx.checker.check_model(model)


def test_exported_graphs_hold_no_path_and_no_source_line(tiny_built: Project) -> None:
    (exported,) = (tiny_built.work / "cache" / "tiny" / "export").rglob("model.onnx")
    for path in (exported, tiny_built.repository / "tiny" / "1" / GRAPH):
        content = path.read_bytes()
        assert b"stack_trace" not in content
        assert str(Path(tiny_built.root)).encode() not in content


def test_two_clean_builds_give_the_same_graph(tiny_built: Project, tmp_path: Path) -> None:
    shutil.copytree(tiny_built.recipes, tmp_path / "build")
    subprocess.run(
        [sys.executable, "-m", "engineroom", "build", "tiny", "--target", "openvino"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    first, second = (root / "model_repository" / "tiny" / "1" / GRAPH for root in (tiny_built.root, tmp_path))
    assert first.read_bytes() == second.read_bytes()
