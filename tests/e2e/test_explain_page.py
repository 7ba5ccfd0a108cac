"""What docs/explain.md shows is what the commands print, but for figures that another machine or build changes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engineroom.repository.layout import Repository

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SETTING = "max_queue_delay_microseconds: 2000"


def plain(text: str) -> str:
    """A text without figures, plurals and line breaks."""
    words = re.sub(r"\d+(\.\d+)?", "#", text)
    return " ".join(re.sub(r"\b(row|instance|thread|core)s\b", r"\1", words).split())


def shown(index: int) -> list[str]:
    """A block of the page, in the parts that `...` leaves."""
    text = SHOWN.findall((ROOT / "docs" / "explain.md").read_text(encoding="utf-8"))[index]
    parts = re.split(r"^ *\.\.\.\n", re.sub(r"^\$.*\n", "", text), flags=re.MULTILINE)
    return [plain(part) for part in parts]


def printed(*words: str) -> str:
    command = [sys.executable, "-m", "engineroom", "config", *words]
    environment = {**os.environ, "ENGINEROOM_PROJECT": str(ROOT)}
    return plain(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.usefixtures("built")
def test_explain_prints_what_is_shown() -> None:
    out = printed("explain", "digits", "--variant", "cpu")
    assert [part for part in shown(0) if part not in out] == []


def test_diff_prints_what_is_shown(built: Repository, tmp_path: Path) -> None:
    text = built.model("digits").cpu_config.read_text(encoding="utf-8")
    (tmp_path / "digits.pbtxt").write_text(re.sub("preferred_batch_size: .*", SETTING, text))
    out = printed("diff", "digits:cpu", str(tmp_path / "digits.pbtxt"))
    assert [part for part in shown(1) if part not in out] == []
