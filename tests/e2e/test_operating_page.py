"""The commands of docs/operating.md, in their order, in a copy of the project with a server of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from engineroom.repository.history import history
from engineroom.repository.layout import Repository
from engineroom.serve.server import ServerOptions, running

ROOT = Path(__file__).parents[2]


def test_the_commands_of_the_page_run_in_their_order(built: Repository, tmp_path: Path) -> None:
    source = built.model("digits")
    model = Repository(tmp_path / "model_repository").model("digits")
    for number in (1, 2, 3):
        shutil.copytree(source.version(source.latest or 0), model.version(number))
    for name in ("config.pbtxt", "probabilities_labels.txt"):
        shutil.copy(source.path / name, model.path / name)
    shutil.copytree(source.path / "configs", model.path / "configs")
    before = {path: path.read_text() for path in model.configs}
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)).splitlines()
    commands = [command for command in commands if command.startswith("engineroom ")]
    assert len(commands) >= 8
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ENGINEROOM_PROJECT": str(tmp_path),
    }
    with running(ServerOptions(tmp_path / "model_repository")):
        shutil.copytree(source.version(source.latest or 0), model.version(4))
        for command in commands:
            done = subprocess.run(
                ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False, timeout=100
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert [one.action.split()[0] for one in history(model)] == [
        "promote", "rollback", "retire", "set", "apply", "rollback",
    ]  # fmt: skip
    assert model.versions == (2, 3, 4)
    pinned = "\nversion_policy {\n  specific {\n    versions: [3]\n  }\n}\n"
    assert {path: path.read_text() for path in model.configs} == {path: text + pinned for path, text in before.items()}
