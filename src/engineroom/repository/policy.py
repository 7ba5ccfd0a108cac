"""The version policy: which of a model's versions Triton serves."""

from typing import Any

from engineroom.errors import RepositoryError
from engineroom.repository.config import config_from_text
from engineroom.repository.layout import ModelFolder
from engineroom.repository.wiring import read

LATEST = 1
"""Versions that Triton serves where a configuration says nothing (model_config.proto, `ModelVersionPolicy`)."""


def served_versions(config: Any, versions: tuple[int, ...]) -> tuple[int, ...]:
    """The versions that Triton loads, ascending.

    Args:
        config: A `ModelConfig` message.
        versions: Those that the model's folder holds, ascending.
    """
    policy = config.version_policy
    chosen = policy.WhichOneof("policy_choice")
    if chosen == "all":
        return versions
    if chosen == "specific":
        return tuple(version for version in versions if version in policy.specific.versions)
    # Triton 2.51 takes `latest {}` at its word: no version at all, and refuses to load the model.
    count = policy.latest.num_versions if chosen == "latest" else LATEST
    return versions[len(versions) - min(count, len(versions)) :]


def asked_versions(config: Any) -> tuple[int, ...]:
    """The versions that a configuration names one by one, ascending; empty where its policy is another."""
    return tuple(sorted(set(config.version_policy.specific.versions)))


def served_by(model: ModelFolder) -> dict[str, tuple[int, ...]]:
    """The versions that each of a model's configurations serves, by the configuration's path inside the folder.

    Args:
        model: The model's folder.

    Raises:
        RepositoryError: A configuration cannot be read.
    """
    return {
        str(path.relative_to(model.path)): served_versions(
            config_from_text(read(path), path, unknown=True), model.versions
        )
        for path in model.configs
    }


def current_version(model: ModelFolder) -> int | None:
    """The version that callers get who name none: the newest that a configuration serves, else the newest there is.

    Args:
        model: The model's folder; None where it holds no version.
    """
    try:
        served = [version for versions in served_by(model).values() for version in versions]
    except RepositoryError:
        # Whether Triton can read the configuration is not the question here.
        served = []
    return max(served, default=model.latest)
