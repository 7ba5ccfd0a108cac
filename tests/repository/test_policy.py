"""Which versions a configuration serves, by Triton's rules."""

from pathlib import Path

import pytest

from engineroom.repository.config import config_from_text
from engineroom.repository.layout import ModelFolder
from engineroom.repository.policy import asked_versions, served_by, served_versions


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", (7,)),
        ("version_policy {}", (7,)),
        ("version_policy { latest {} }", ()),
        ("version_policy { latest { num_versions: 2 } }", (3, 7)),
        ("version_policy { latest { num_versions: 9 } }", (1, 3, 7)),
        ("version_policy { all {} }", (1, 3, 7)),
        ("version_policy { specific { versions: [3, 1, 5] } }", (1, 3)),
    ],
)
def test_a_policy_serves(policy: str, served: tuple[int, ...]) -> None:
    assert served_versions(config_from_text(policy, Path("config.pbtxt")), (1, 3, 7)) == served


def test_versions_asked_for_by_number() -> None:
    config = config_from_text("version_policy { specific { versions: [3, 1] } }", Path("config.pbtxt"))
    assert asked_versions(config) == (1, 3)
    assert asked_versions(config_from_text("", Path("config.pbtxt"))) == ()


def test_each_configuration_of_a_model_has_its_own(tmp_path: Path) -> None:
    model = ModelFolder(tmp_path / "m")
    for number in (1, 2):
        model.version(number).mkdir(parents=True)
    model.cpu_config.parent.mkdir()
    model.config.write_text("version_policy { specific { versions: 1 } }")
    model.cpu_config.write_text("")
    assert served_by(model) == {"config.pbtxt": (1,), "configs/cpu.pbtxt": (2,)}
