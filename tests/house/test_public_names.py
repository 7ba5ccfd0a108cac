"""Every name in `engineroom` itself is deliberate: adding one means changing this list."""

import engineroom

PUBLIC = {"SLO", "Axis", "EngineRoomError", "Recipe", "TaskMetric", "Tensor", "Tolerance", "__version__"}


def test_public_names() -> None:
    assert set(engineroom.__all__) == PUBLIC
    assert all(hasattr(engineroom, name) for name in PUBLIC)
