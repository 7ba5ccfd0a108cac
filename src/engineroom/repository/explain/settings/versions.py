"""Which versions and files are served."""

from collections.abc import Callable

from engineroom.repository.explain.figures import bytes_said
from engineroom.repository.explain.rules.files import listed
from engineroom.repository.explain.settings.told import Told
from engineroom.repository.policy import served_versions


def served(told: Told) -> str:
    """Which of the versions there are Triton serves."""
    versions = told.facts.versions
    if not versions:
        return "No version is published yet."
    chosen = served_versions(told.config, versions)
    if not chosen:
        return f"Of the versions {listed(versions)} Triton serves none: the model does not load."
    unnamed = f", and answers requests that name none with {chosen[-1]}" if len(chosen) > 1 else ""
    return f"Of the versions {listed(versions)} Triton serves {listed(chosen)}{unnamed}."


def _file(told: Told) -> str:
    passport, name = told.facts.passport, told.text
    if passport is None:
        return f"Each version's {name} is served."
    artefact = next((one for one in passport.artefacts if one.file == name), None)
    if artefact is None:
        held = ", ".join(one.file for one in passport.artefacts)
        other = f"The latest version holds {held or 'no artefact'}"
        return f"{other}; {'the graph itself is served' if name in passport.files else f'no {name}'}."
    proven = f", proven in {' and '.join(artefact.proven)}" if artefact.proven else ""
    return f"Each version's {name}: {bytes_said(artefact.size_bytes)} from {artefact.built_with}{proven}."


def _engine(told: Told) -> str:
    return f"On GPUs of compute capability {told.text} Triton serves {told.value}."


def _step(told: Told) -> str:
    step = told.value
    version = f"version {step.model_version}" if step.model_version > 0 else "the newest version it serves"
    taken, given = (
        ", ".join(f"{one} = {other}" for one, other in sorted(m.items())) for m in (step.input_map, step.output_map)
    )
    return f"Calls {step.model_name}, {version}: takes {taken or 'nothing'}; gives {given or 'nothing'}."


SAYS: dict[str, Callable[[Told], str]] = {
    "version_policy": served,
    "default_model_filename": _file,
    "cc_model_filenames[]": _engine,
    "ensemble_scheduling.step[]": _step,
}
