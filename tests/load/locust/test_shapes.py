import pytest

from engineroom.errors import BadInput
from engineroom.load.locust.shapes import Stage, stages_from_text, users_after


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("steps:2:10,8:5", [(2, 10), (8, 5)]),
        ("steps:1:1", [(1, 1)]),
        ("spikes:4:40:30:5:2", [(4, 30), (40, 5), (4, 30), (40, 5)]),
        ("soak:4:200", [(1, 5), (2, 5), (3, 5), (4, 185)]),
        ("soak:50:3600", [(5 * step, 36) for step in range(1, 10)] + [(50, 3276)]),
        ("soak:1:60", [(1, 60)]),
        ("soak:8:5", [(8, 5)]),
    ],
)
def test_shapes(text, stages):
    assert stages_from_text(text) == tuple(Stage(*stage) for stage in stages)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "steps",
        "steps:",
        "steps:2",
        "steps:2:10:3",
        "steps:two:10",
        "spikes:1:2:3",
        "spikes:1:2:3:4:0",
        "soak:1:2:3",
        "ramp:1:2",
    ],
)
def test_what_is_no_shape(text):
    with pytest.raises(BadInput, match="expected steps:USERS:SECONDS"):
        stages_from_text(text)


@pytest.mark.parametrize("text", ["steps:0:10", "steps:2:0.5", "soak:-1:60", "steps:1:inf"])
def test_a_stage_has_users_and_time(text):
    with pytest.raises(BadInput, match="at least one user, for at least 1 s"):
        stages_from_text(text)


def test_who_is_there_and_when_it_is_over():
    stages = stages_from_text("spikes:4:40:30:5:1")
    assert [users_after(seconds, stages) for seconds in (0, 29.9, 30, 34.9, 35)] == [4, 4, 40, 40, None]
