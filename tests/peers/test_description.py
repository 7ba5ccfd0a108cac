import ast
import re
from pathlib import Path

import pytest
from peers.description import HERE, PEERS
from peers.wire import KINDS

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+")
each = pytest.mark.parametrize("peer", PEERS, ids=[peer.name for peer in PEERS])


@each
def test_requirements_are_names_with_exact_versions_and_nothing_else(peer):
    lines = peer.requirements.read_text().splitlines()
    assert lines
    assert [line for line in lines if not PIN.fullmatch(line)] == []
    assert len({line.partition("==")[0].lower() for line in lines}) == len(lines)


@each
def test_everybody_has_the_same_runtimes(peer):
    pins = set(peer.requirements.read_text().splitlines())
    ours = (ROOT / "constraints.txt").read_text().splitlines()
    assert {line for line in ours if line.startswith(("onnxruntime==", "openvino=="))} <= pins


@each
def test_a_server_program_names_its_documentation_and_imports_nothing_of_ours(peer):
    tree = ast.parse(peer.program.read_text())
    assert re.search(r"\w\.(ai|com|io|org)\b", ast.get_docstring(tree) or "")
    for path in peer.program.parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
            assert not any((name or "").startswith("engineroom") for name in names)


@each
def test_its_body_is_one_that_the_generator_knows(peer):
    assert peer.body in KINDS


def test_every_folder_is_a_peer():
    folders = {path.parent.name for path in HERE.glob("*/server.py")}
    assert folders == {peer.name for peer in PEERS}


@each
def test_the_page_names_it(peer):
    assert peer.title in (ROOT / "docs" / "peers.md").read_text()
