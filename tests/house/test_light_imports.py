"""Every module imports, and every `--help` runs, with the base dependencies alone."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"

HEAVY = (
    "gevent",
    "grpc",
    "locust",
    "matplotlib",
    "mlflow",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "PIL",
    "pyarrow",
    "scipy",
    "sklearn",
    "tensorrt",
    "tensorrt_rtx",
    "torch",
    "transformers",
    "tritonclient",
)

BLOCK = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ImportError(name + " is not a base dependency")
sys.meta_path.insert(0, Blocked())
"""


def modules() -> list[str]:
    """Every module of the library, except what runs elsewhere: backends inside Triton, a new project's files in it."""
    found = []
    for path in sorted((SOURCE / "engineroom").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if "backends" not in parts and parts[1:3] != ("scaffold", "project"):
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def commands() -> list[list[str]]:
    """Every command of the command line, as the words before `--help`."""
    import click

    from engineroom.cli import cli

    found: list[list[str]] = []

    def walk(command: click.Command, words: list[str]) -> None:
        found.append(words)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                walk(inner, [*words, name])

    walk(cli, [])
    return found


def python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", BLOCK + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_module_imports_with_base_dependencies() -> None:
    python(f"import importlib\nfor name in {modules()!r}: importlib.import_module(name)")


def test_every_help_runs_with_base_dependencies() -> None:
    lines = ["from click.testing import CliRunner", "from engineroom.cli import cli"]
    for words in commands():
        lines += [f"done = CliRunner().invoke(cli, {[*words, '--help']!r})", "assert done.exit_code == 0, done.output"]
    python("\n".join(lines))


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words) or "engineroom")
def test_every_command_says_what_it_does(words: list[str]) -> None:
    from click.testing import CliRunner

    from engineroom.cli import cli

    said = CliRunner().invoke(cli, [*words, "--help"]).output.splitlines()
    assert said[0].startswith("Usage:")
    assert any(line.strip().endswith((".", ":")) for line in said[1:4]), said[:5]


def test_help_loads_nothing_heavy_nor_the_commands() -> None:
    python(
        "from click.testing import CliRunner\nfrom engineroom.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        "assert 'rich' not in sys.modules and 'google.protobuf' not in sys.modules\n"
        "assert 'engineroom.compile' not in sys.modules, 'the pipeline was imported for --help'"
    )
