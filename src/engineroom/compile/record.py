"""What a passport says of a build besides its artefacts, and what a new version keeps of the one before."""

from dataclasses import replace
from pathlib import Path

from engineroom import __version__
from engineroom.compile.cache.inputs import libraries, machine
from engineroom.compile.fallback import FALLBACK
from engineroom.compile.report import Log
from engineroom.compile.targets.gpu import find_driver, gpus
from engineroom.errors import NewerManifest, RepositoryError
from engineroom.hardware import capability, processor
from engineroom.recipe import Recipe
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, Passport, passport_from_file
from engineroom.repository.verdict import changed, damage


def machine_here() -> dict[str, str]:
    """This machine, for people: processor, and GPU, driver and CUDA where there are any."""
    driver = find_driver()
    found = {
        "processor": processor(),
        "gpus": "; ".join(map(str, gpus())),
        "driver": driver.version if driver else "",
        "cuda": driver.cuda if driver else "",
    }
    return {**machine(), **{name: words for name, words in found.items() if words}}


def versions(recipe: Recipe) -> dict[str, str]:
    """Versions of all that took part, engineroom's among them.

    Raises:
        RecipeError: A distribution that the recipe needs is not installed.
    """
    return {"engineroom": __version__, **libraries(recipe)}


def completed(passport: Passport, artefacts: tuple[Artefact, ...], files: list[Path], log: Log) -> Passport:
    """A passport with its artefacts, the digests of all other files, and the time of every stage so far.

    Args:
        passport: What was known before the build.
        artefacts: What it made and kept.
        files: Everything that the version will hold, but the manifest.
        log: The stages that ended.
    """
    theirs = {name for one in artefacts for name in (one.file, *one.companions) if one.file != GRAPH}
    return replace(
        passport,
        artefacts=artefacts,
        files={path.name: sha256(path) for path in files if path.name not in theirs},
        seconds={stage.name: round(stage.seconds, 3) for stage in log.stages},
    )


def refuse_newer(folder: ModelFolder) -> None:
    """Refuse to replace what a newer engineroom has made.

    Raises:
        NewerManifest: The latest version is of one.
    """
    try:
        passport_from_file(folder.version(folder.latest or 0) / MANIFEST)
    except NewerManifest as error:
        raise NewerManifest(f"{error} Or replace it: --force") from error
    except RepositoryError:
        # A version without a manifest that can be read is built again.
        return


def flaw(passport: Passport, version: Path) -> str:
    """Which files a version has lost, or which is not the one of its passport, to follow its name; empty where none."""
    compiled_files = (name for one in passport.artefacts for name in (one.file, *one.companions))
    names = sorted({GRAPH, GOLDEN, *passport.files, *compiled_files})
    if gone := [name for name in names if not (version / name).is_file()]:
        return f"has lost {', '.join(gone)}"
    shared = ((name, changed(passport, version, name)) for name in passport.files)
    compiled = ((one.file, damage(one, version)) for one in passport.artefacts)
    return next((f"is damaged: {name} is {told}" for name, told in (*shared, *compiled) if told), "")


def held_targets(passport: Passport, fallback: str) -> set[str]:
    """The targets that a version was built and proven for, as far as this machine and these options are concerned.

    An engine that was added where the model is served has no proof: it is not the build's, and may not be possible
    here. Neither is one for another GPU. A fallback counts for what it stands in for, where a fallback is wanted again.

    Args:
        passport: The version's.
        fallback: `onnxruntime`, or empty for none.
    """
    here = capability(next(map(str, gpus()), ""))
    proven = [one for one in passport.artefacts if one.parity]
    plain = {one.target for one in proven if one.target not in ("tensorrt", FALLBACK)}
    ours = {one.target for one in proven if one.target == "tensorrt" and one.capability == here}
    instead = {target for one in proven if one.target == fallback for target in one.instead_of}
    return plain | ours | instead


def kept_engines(folder: ModelFolder, mark: str, graph: Path, made: tuple[Artefact, ...]) -> dict[Path, Artefact]:
    """Engines of the latest version that its successor keeps: those for other GPUs, of the same build and graph.

    Args:
        folder: The model's folder.
        mark: The build's fingerprint.
        graph: Its graph.
        made: What it has made itself.

    Returns:
        The artefacts by the path of their file; none where the latest version is of another build, or cannot be read.
    """
    if folder.latest is None:
        return {}
    version = folder.version(folder.latest)
    try:
        passport = passport_from_file(version / MANIFEST)
    except RepositoryError:
        return {}
    if passport.fingerprint != mark or passport.files.get(GRAPH) != sha256(graph):
        return {}
    engines = [one for one in passport.artefacts if one.target == "tensorrt"]
    new = [one for one in engines if one.file not in {other.file for other in made}]
    return {version / one.file: one for one in new if not damage(one, version)}
