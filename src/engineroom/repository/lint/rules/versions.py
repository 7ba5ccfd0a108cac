"""ER70: which versions are served."""

import re
from collections.abc import Iterator

from engineroom.repository.lint.case import Case
from engineroom.repository.lint.finding import TOP, Found
from engineroom.repository.lint.rule import rule

MANY = 3
"""Versions that `all` may load before it is worth a word."""


@rule("ER701", "error", refused=True)
def no_version_served(case: Case) -> Iterator[Found]:
    """The version policy serves none of the versions that are there, or there is none at all.

    An ensemble needs an empty folder `1` too. Where there is a recipe, the model may just not be built yet: a note.

    Mend: Build the model, or write a policy that names a version which is there.
    """
    held = case.model.versions
    numbers = ", ".join(map(str, held))
    policy = case.config.version_policy
    if not held:
        mend = "Make an empty folder 1" if case.is_ensemble else f"Run: engineroom build {case.model.name}"
        built = case.world.recipe is not None
        yield Found(TOP, "there is no version to serve", mend, severity="note" if built else "error", refused=not built)
    elif policy.WhichOneof("policy_choice") == "specific" and not set(policy.specific.versions) & set(held):
        asked = ", ".join(map(str, policy.specific.versions)) or "no version"
        yield Found(
            case.at("version_policy", "specific"),
            f"it serves {asked}, and there is {numbers}",
            "Name one that is there",
        )
    elif policy.WhichOneof("policy_choice") == "latest" and policy.latest.num_versions == 0:
        said = "latest serves num_versions of the newest, which is 0 here"
        yield Found(case.at("version_policy", "latest"), said, "Write num_versions: 1")


@rule("ER702", "warning")
def version_missing(case: Case) -> Iterator[Found]:
    """The version policy names a version that is not there, besides others that are.

    Triton writes a line to its log and serves the rest.

    Mend: Take the number out, or bring the version back.
    """
    held = set(case.model.versions)
    asked = case.config.version_policy.specific.versions
    if held & set(asked):
        for number, value in zip(asked, case.values("version_policy", "specific", "versions"), strict=False):
            if number not in held:
                yield Found(value, f"there is no version {number}", f"There is {', '.join(map(str, sorted(held)))}")


@rule("ER703", "warning")
def version_folder_ignored(case: Case) -> Iterator[Found]:
    """A folder looks like a version and is none: `v1`, `01`, `1.0`.

    Triton passes over it with a line in its log. A version's folder is a number that does not begin with 0.

    Mend: Name the folder with the number alone.
    """
    folders = case.model.path.iterdir() if case.model.path.is_dir() and case.path == case.model.configs[:1][0] else ()
    for name in sorted(folder.name for folder in folders if folder.is_dir()):
        if re.fullmatch(r"(?i)(0\d+|v(ersion)?[-_]?\d+|\d+\.\d+)", name):
            yield Found(TOP, f"folder '{name}' is not served as a version", "Name it with a number alone, such as 1")


@rule("ER704", "note")
def every_version_served(case: Case) -> Iterator[Found]:
    """`all` versions are served, and there are many.

    Each of them is loaded, with its weights and its instances.

    Mend: Serve the latest few: `version_policy { latest { num_versions: 2 } }`.
    """
    if case.config.version_policy.HasField("all") and len(case.model.versions) > MANY:
        said = f"all {len(case.model.versions)} versions are loaded at once"
        yield Found(
            case.at("version_policy", "all"), said, "Write latest { num_versions: 2 }, unless callers ask for old ones"
        )


@rule("ER705", "note")
def newest_not_served(case: Case) -> Iterator[Found]:
    """The newest version is there and not served.

    A build that published it has changed nothing for callers. That may be meant: the policy holds them on an older one.

    Mend: Take the newest into the policy when it is to serve.
    """
    held = case.model.versions
    asked = case.config.version_policy.specific.versions
    if held and set(asked) & set(held) and held[-1] not in asked:
        yield Found(
            case.at("version_policy", "specific"), f"version {held[-1]} is not served", "Name it when it is to serve"
        )
