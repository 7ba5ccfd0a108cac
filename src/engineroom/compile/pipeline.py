"""The pipeline: export → precision → compile → verify → publish, in order, each leaving a file or an error."""

import shutil
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from engineroom.compile import verify
from engineroom.compile.evidence import Evidence
from engineroom.compile.export import onnx_from_module
from engineroom.compile.fingerprint import fingerprint, libraries, machine
from engineroom.compile.islands import check_islands, islands_for
from engineroom.compile.limits import loosest
from engineroom.compile.precision import graph_from_fp32
from engineroom.compile.pruning import check_pruning
from engineroom.compile.reference import Reference, evidence_from_reference
from engineroom.compile.report import BuildReport, Log, Stage, Watch
from engineroom.compile.rounding import rounding_runner
from engineroom.compile.targets import Compiled, Runners, Target, target_from_name
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.errors import ExportError, ParityError, RepositoryError
from engineroom.project import Project
from engineroom.recipe import Recipe
from engineroom.repository.config import missing_configs
from engineroom.repository.files import exclusive, write_atomically
from engineroom.repository.golden import golden_to_file
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder, Repository
from engineroom.repository.passport import Artefact, Parity, Passport, Profile, passport_from_file
from engineroom.repository.publish import explained, publish


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        targets: Names of the targets, such as `openvino`.
        force: Build although nothing changed.
        write_config: Replace the configurations that are there.
        find_islands: Where FP16 misses the proof, search for the nodes that must stay FP32, and keep them so.
        command: The command that builds this again, for the passport.
    """

    targets: tuple[str, ...]
    force: bool = False
    write_config: bool = False
    find_islands: bool = False
    command: str = ""


def build(recipe: Recipe, project: Project, options: BuildOptions, watch: Watch) -> BuildReport:
    """Build a model and publish it as a new version, unless nothing changed.

    Args:
        recipe: The model.
        project: Where the work folder and the repository are.
        options: How to build.
        watch: Shows progress.

    Raises:
        EngineRoomError: A stage failed. The repository serves what it served before.
    """
    folder = Repository(project.repository).model(recipe.name)
    mark = fingerprint(recipe, project)
    asked = {name: target_from_name(name) for name in options.targets}
    # Builds of one model share its work folder: the second waits, and then has nothing to do.
    with explained(folder), exclusive(project.work / f"{recipe.name}.lock"):
        configs = missing_configs(recipe, folder, overwrite=options.write_config)
        have = _targets_of_same_build(folder, mark)
        if have.issuperset(asked) and folder.latest and not options.force:
            _write(configs)
            return BuildReport(recipe.name, folder.latest, up_to_date=True)
        # What an equal build already made stays part of the model: a new version replaces the old one whole.
        targets = [*asked.values(), *(target_from_name(name) for name in sorted(have - asked.keys()))]
        work = project.work / recipe.name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        return _run(
            recipe,
            Job(targets, folder, work, configs, _passport(recipe, mark, options), options.find_islands),
            Log(watch),
        )


@dataclass(frozen=True)
class Job:
    """What a build makes, and where.

    Attributes:
        targets: What to compile for.
        folder: The model's folder in the repository.
        work: Folder of the intermediate files, empty.
        configs: Configurations and label files that appear together with the version, by path.
        passport: The version's passport, its artefacts still to come.
        find_islands: Search for nodes to keep in FP32 where the graph misses its proof.
    """

    targets: list[Target]
    folder: ModelFolder
    work: Path
    configs: dict[Path, str]
    passport: Passport
    find_islands: bool = False


def _write(configs: dict[Path, str]) -> None:
    for path, text in configs.items():
        write_atomically(path, text)


def _run(recipe: Recipe, job: Job, log: Log) -> BuildReport:
    reference, work = Reference(recipe), job.work
    exported, graph = work / "model.onnx", work / GRAPH
    with log.stage("reference") as stage:
        evidence = evidence_from_reference(reference)
        stage.note = f"PyTorch answered {sum(sample.rows for sample in evidence.samples)} rows of real samples"
        if recipe.sparsity:
            stage.note += f"; 2:4 sparse: {check_pruning(reference, evidence)}"
    with log.stage("export") as stage:
        notes = onnx_from_module(reference, exported)
        stage.parity = (_exported_parity(recipe, evidence, exported),)
        stage.note, stage.size_bytes = "; ".join(notes), exported.stat().st_size
    with log.stage("precision") as stage:
        check_islands(recipe, exported)
        recipe = replace(recipe, islands=_make_graph(recipe, evidence, exported, graph, stage, find=job.find_islands))
        stage.size_bytes = graph.stat().st_size
    files, artefacts = [graph], []
    for target in job.targets:
        compiled, artefact = _artefact(recipe, evidence, target, graph, log)
        files += [compiled.file, *compiled.companions]
        artefacts.append(artefact)
    with log.stage("publish") as stage:
        golden = evidence.golden()
        golden_to_file(golden.inputs, golden.outputs, work / GOLDEN)
        kinds = {proof.kind for artefact in artefacts for proof in artefact.parity}
        limits = {name: loosest(evidence, name, kinds, recipe.tolerance) for name in golden.outputs}
        passport = replace(job.passport, artefacts=tuple(artefacts), limits=limits, islands=recipe.islands)
        write_atomically(work / MANIFEST, passport.to_json())
        _write(job.configs)
        version = publish(job.folder, [*files, work / GOLDEN, work / MANIFEST])
        stage.note = str(job.folder.version(version))
    return BuildReport(recipe.name, version, up_to_date=False, stages=tuple(log.stages))


def _exported_parity(recipe: Recipe, evidence: Evidence, exported: Path) -> Parity:
    try:
        return verify.parity(recipe, evidence, runner_from_onnx(exported, "fp32"))
    except ParityError as error:
        raise ExportError(
            f"{error} The FP32 graph already differs, so the export changed the module: most often a size that it "
            "takes for a constant, or code that depends on Python values. "
            "Use x.shape[0] where a number of rows is needed."
        ) from error


def _make_graph(
    recipe: Recipe, evidence: Evidence, exported: Path, graph: Path, stage: Stage, *, find: bool
) -> tuple[str, ...]:
    """Write the graph and judge it; gives the nodes that stay FP32, those that were searched for included."""
    requests = tuple(evidence.requests())
    stage.note = graph_from_fp32(recipe, exported, graph, requests, recipe.islands)
    try:
        stage.parity = _rounded_parity(recipe, evidence, graph)
    except ParityError as error:
        if not find:
            raise ParityError(f"{error} Nothing was published. {ADVICE}") from error
        islands = (*recipe.islands, *islands_for(recipe, evidence, exported))
        note = graph_from_fp32(recipe, exported, graph, requests, islands)
        stage.note = f"{note}; found islands, write them into the recipe: islands={islands!r}"
        stage.parity = _rounded_parity(recipe, evidence, graph)
        return islands
    return recipe.islands


def _rounded_parity(recipe: Recipe, evidence: Evidence, graph: Path) -> tuple[Parity, ...]:
    """What a GPU would compute, judged before anything is compiled for one."""
    if recipe.precision == "fp32":
        return ()
    return (verify.parity(recipe, evidence, rounding_runner(graph, recipe.precision)),)


def _artefact(recipe: Recipe, evidence: Evidence, target: Target, graph: Path, log: Log) -> tuple[Compiled, Artefact]:
    with log.stage(f"compile {target.name}") as stage:
        compiled = target.compile(graph, recipe, graph.parent)
        stage.size_bytes = compiled.size_bytes
        layers = [f"{count} {name} layers" for name, count in sorted(compiled.precision.items())]
        stage.note = "; ".join(filter(None, (", ".join([compiled.built_with, *layers]), compiled.note)))
    with log.stage(f"verify {target.name}") as verified:
        runners = target.runners(compiled, graph, recipe)
        proofs = _proofs(recipe, evidence, runners, verified)
    return compiled, compiled.artefact(target.name, stage.seconds, proofs)


def _proofs(recipe: Recipe, evidence: Evidence, runners: Runners, stage: Stage) -> dict[str, Parity]:
    """Parity by element type. The first type must pass; a further one that misses is noted and not used."""
    proofs: dict[str, Parity] = {}
    for kind, start in runners:
        try:
            proofs[kind] = verify.parity(recipe, evidence, start())
        except ParityError as error:
            if not proofs:
                raise ParityError(f"{error} Nothing was published. {ADVICE}") from error
            stage.note = f"{kind} is not used: {error}"
    stage.parity = tuple(proofs.values())
    return proofs


ADVICE = (
    "Wrong at one size only means a size frozen by the export. Otherwise --find-islands searches for the nodes that "
    "must stay FP32, and a longer precision in the recipe (fp16 for int8, fp32 for fp16) keeps them all so."
)


def _targets_of_same_build(folder: ModelFolder, mark: str) -> set[str]:
    """Targets of the latest version, if it was built from the same inputs and is whole."""
    if folder.latest is None:
        return set()
    version = folder.version(folder.latest)
    try:
        passport = passport_from_file(version / MANIFEST)
    except RepositoryError:
        return set()
    files = [GRAPH, GOLDEN, *(name for one in passport.artefacts for name in (one.file, *one.companions))]
    whole = all((version / name).is_file() for name in files)
    # An engine added where the model is served has no proof: it is not the build's, and may not be possible here.
    built = {artefact.target for artefact in passport.artefacts if artefact.parity}
    return built if whole and passport.fingerprint == mark else set()


def _passport(recipe: Recipe, mark: str, options: BuildOptions) -> Passport:
    return Passport(
        model=recipe.name,
        fingerprint=mark,
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=options.command or f"engineroom build {recipe.name}",
        profile=Profile.of(recipe),
        limits={},
        libraries=libraries(recipe),
        machine=machine(),
        artefacts=(),
    )
