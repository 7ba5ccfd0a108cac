"""The champion is what is served: a promotion in the repository moves the alias."""

from engineroom.errors import EngineRoomError
from engineroom.registry.log import Logged, Patience, log_version
from engineroom.registry.record import record_from_version
from engineroom.registry.server import Server, server_from_environment
from engineroom.registry.versions import CHAMPION
from engineroom.repository.layout import ModelFolder

PATIENCE_S = 60.0
"""How long a command whose purpose is another waits for the registry, besides the file that is on its way."""


def follow_promotion(model: ModelFolder, version: int, server: Server | None = None) -> str:
    """Make a version the champion in MLflow, because the repository serves it now. Never fails.

    A version that MLflow does not know yet is logged first.

    Args:
        model: The model's folder.
        version: The version that was promoted, or rolled back to.
        server: The registry; by default that of `MLFLOW_TRACKING_URI`.

    Returns:
        One line for people: what was recorded, or what was not and the command for later; empty without a registry.
    """
    server = server or server_from_environment()
    return record_for(model, version, server, CHAMPION)[1] if server else ""


def record_for(model: ModelFolder, version: int, server: Server, alias: str = "") -> tuple[Logged | None, str]:
    """Log a version beside something more important, which must not fail with it.

    Args:
        model: The model's folder.
        version: The version.
        server: The registry.
        alias: An alias to point at it.

    Returns:
        What became of it, None where it was not recorded; and one line for people.
    """
    try:
        logged = log_version(record_from_version(model, version), server, alias, Patience.of(PATIENCE_S))
    except EngineRoomError as error:
        return None, not_recorded(model.name, version, str(error), alias)
    return logged, str(logged)


def not_recorded(model: str, version: int, reason: str, alias: str = "") -> str:
    """What to say of a version that could not be recorded, with the command for later."""
    later = f"engineroom registry log {model} {version}{f' --alias {alias}' if alias else ''}"
    return f"{model}: version {version} is not recorded in MLflow. {reason}\nRecord it later: {later}"
