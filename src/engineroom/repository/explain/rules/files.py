"""Which versions and which files are served."""

from collections.abc import Callable

from engineroom.repository.explain.case import Case
from engineroom.repository.explain.figures import bytes_said, counted
from engineroom.repository.explain.outlook import EITHER, Outlook
from engineroom.repository.policy import asked_versions, served_versions


def _policy(case: Case) -> Outlook:
    versions = case.facts.versions
    if not versions:
        return Outlook(f"Versions by the policy {case.after or '{ latest { num_versions: 1 } }'}.", EITHER, EITHER)
    before, after = served_versions(case.old, versions), served_versions(case.new, versions)
    absent = [version for version in asked_versions(case.new) if version not in versions]
    was = listed(before) or "none"
    told = f"Of the versions {listed(versions)} Triton serves {listed(after) or 'none'}, it was {was}."
    if absent:
        told += f" Version {listed(tuple(absent))} is not there: Triton warns and serves the others."
    if not after:
        return Outlook(told, needs="refused", refusal="no version is left to serve under the policy")
    if not before or before[-1] == after[-1]:
        return Outlook(told, callers=_without(before, after))
    told += f" Requests that name no version get {after[-1]}."
    return Outlook(told, EITHER, EITHER, _without(before, after))


def _without(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    gone = tuple(version for version in before if version not in after)
    return f"Requests that name version {listed(gone)} are refused." if gone else ""


def listed(versions: tuple[int, ...]) -> str:
    """Versions as text, short where they follow one another: `1..19`."""
    if len(versions) > 2 and versions == tuple(range(versions[0], versions[-1] + 1)):
        return f"{versions[0]}..{versions[-1]}"
    return ", ".join(map(str, versions))


def _file(case: Case) -> Outlook:
    name, facts = case.after, case.facts
    passport = facts.passport
    if not name or passport is None:
        return Outlook(f"Triton serves {name or 'the file that the backend looks for'}.", EITHER, EITHER)
    artefact = next((one for one in passport.artefacts if one.file == name), None)
    if artefact is not None:
        told = f"{name}: {bytes_said(artefact.size_bytes)}, compiled for {artefact.target} with {artefact.built_with}."
        return Outlook(told, EITHER, EITHER)
    if name in passport.files:
        return Outlook(f"{name} is the graph itself: the backend compiles it when it loads.", EITHER, EITHER)
    told = f"The latest version holds no {name}: publish one that does."
    if case.backend == "openvino":
        return Outlook(f"{told} Our OpenVINO backend takes model.xml instead.", needs="rebuild")
    return Outlook(told, needs="rebuild", refusal=f"there is no {name} in the version's folder")


def _engine(case: Case) -> Outlook:
    key = case.difference.key
    told = f"On GPUs of compute capability {key} Triton serves {case.after or 'the default file'}."
    if case.backend != "tensorrt":
        return Outlook(f"{told} It matters on GPUs alone.")
    passport = case.facts.passport
    if case.after and passport is not None and case.after not in {one.file for one in passport.artefacts}:
        return Outlook(
            f"{told} The latest version holds no such engine: engineroom models engines compiles it.",
            EITHER,
            EITHER,
            needs="rebuild",
        )
    return Outlook(told, EITHER, EITHER)


def _ensemble(_: Case) -> Outlook:
    return Outlook(
        "Requests pass through these models in turn.", EITHER, EITHER, "What is sent and what comes back may change."
    )


def _order(_: Case) -> Outlook:
    return Outlook("The same entries in another order.")


def _agents(case: Case) -> Outlook:
    told = f"Before the model is loaded, Triton asks {counted(1, 'agent')}: {case.difference.key}."
    return Outlook(told, callers="" if case.after else "Nothing is checked before a load.")


RULES: dict[str, Callable[[Case], Outlook]] = {
    "version_policy": _policy,
    "default_model_filename": _file,
    "cc_model_filenames[]": _engine,
    "ensemble_scheduling": _ensemble,
    "model_repository_agents": _agents,
    "model_warmup": _order,
}
