"""engineroom: PyTorch models into fast, proven, operable Triton services."""

from engineroom.errors import EngineRoomError
from engineroom.recipe import SLO, Axis, Recipe, TaskMetric, Tensor, Tolerance

__version__ = "0.1.0"

__all__ = [
    "SLO",
    "Axis",
    "EngineRoomError",
    "Recipe",
    "TaskMetric",
    "Tensor",
    "Tolerance",
    "__version__",
]
