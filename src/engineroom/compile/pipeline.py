"""The pipeline: the stages of a build in order, each from the cache where nothing that it is made from has changed."""

import tempfile
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from engineroom.compile import stages
from engineroom.compile.cache.store import Cache
from engineroom.compile.fallback import joined
from engineroom.compile.job import Job, job_of
from engineroom.compile.judge import Judge
from engineroom.compile.options import BuildOptions
from engineroom.compile.plan import COMPILE, CONFIG, EXPORT, ISLANDS, PRECISION, PRUNING, PUBLISH, REFERENCE
from engineroom.compile.record import completed, kept_engines, machine_here, refuse_newer, versions
from engineroom.compile.report import BuildReport, Log, Stage, Watch
from engineroom.compile.results import Results
from engineroom.compile.truth.evidence import Evidence, evidence_from_file
from engineroom.compile.truth.limits import loosest
from engineroom.compile.truth.reference import Reference
from engineroom.project import Project
from engineroom.recipe import Recipe
from engineroom.repository.config import missing_configs
from engineroom.repository.files import exclusive, write_atomically
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, Repository
from engineroom.repository.passport import Artefact, Passport, Profile, passport_from_file
from engineroom.repository.publish import explained, publish
from engineroom.repository.wiring import read, rewire, rewired


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
    # Builds of one model take turns: the second finds what the first has made.
    with explained(folder), exclusive(project.work / f"{recipe.name}.lock"):
        if not options.force:
            refuse_newer(folder)
        job = job_of(recipe, project, options)
        configs = missing_configs(recipe, folder, overwrite=options.write_config)
        if folder.latest and not job.missing:
            _write(configs)
            changes = rewire(folder, passport_from_file(folder.version(folder.latest) / MANIFEST).artefacts)
            stages = (Stage(CONFIG, note=changes),) if changes else ()
            return BuildReport(recipe.name, folder.latest, up_to_date=True, stages=stages)
        results = Results(job.plan, cache_of(recipe, project), Log(watch), options.force)
        version = _version(job, results, configs)
        return BuildReport(recipe.name, version, up_to_date=False, stages=tuple(results.log.stages))


def cache_of(recipe: Recipe, project: Project) -> Cache:
    """Where the results of a recipe's stages are kept."""
    return Cache(project.work / "cache" / recipe.name)


def _version(job: Job, results: Results, configs: dict[Path, str]) -> int:
    """The life of a model, from the recipe to a published version; gives its number."""
    recipe, module = job.recipe, Reference(job.recipe)
    answers = results.of(REFERENCE, partial(stages.reference, module, job.named))
    evidence = evidence_from_file(answers.path(stages.EVIDENCE))
    judge = Judge(recipe, evidence, results)
    if recipe.sparsity:
        results.of(PRUNING, partial(stages.pruning, module, evidence))

    exported = results.of(EXPORT, partial(stages.export, module)).path(stages.EXPORTED)
    judge.export(exported)

    if ISLANDS in job.plan:
        found = results.of(ISLANDS, partial(stages.islands, recipe, evidence, exported))
        recipe = replace(recipe, islands=(*recipe.islands, *found.made.facts["islands"]))
    graphs = results.of(PRECISION, partial(stages.precision, recipe, evidence, exported))
    graph = graphs.path(GRAPH)
    judge.graph(graph)

    made, files = [], [*graphs.paths, answers.path(GOLDEN)]
    for name, target in job.targets.items():
        entry = results.of(COMPILE.format(name), partial(stages.compiled, target, recipe, graph, job.options.fallback))
        outcome = stages.outcome_of(target, entry, graph)
        proofs = judge.target(name, outcome.target.runners(outcome.compiled, graph, recipe))
        artefact = outcome.compiled.artefact(outcome.target.name, entry.seconds, proofs)
        mark = {name: job.plan.fingerprint(name)}
        made.append(replace(artefact, instead_of=outcome.instead_of, fingerprints=mark))
        files += entry.paths

    with results.log.stage(PUBLISH) as stage:
        product = Product(recipe, evidence, joined(made), files)
        version, changes = _published(job, product, results.log, configs)
        stage.note = "\n".join(filter(None, (str(job.folder.version(version)), changes)))
    return version


@dataclass(frozen=True)
class Product:
    """What the stages gave.

    Attributes:
        recipe: The model, with the islands that were found.
        evidence: What the module answered.
        artefacts: What was compiled and proven.
        files: The files of the version, but its manifest.
    """

    recipe: Recipe
    evidence: Evidence
    artefacts: tuple[Artefact, ...]
    files: list[Path]

    @property
    def graph(self) -> Path:
        """The graph that the artefacts were compiled from."""
        return next(path for path in self.files if path.name == GRAPH)


def _published(job: Job, product: Product, log: Log, configs: dict[Path, str]) -> tuple[int, str]:
    """Publish, and wire the configuration for it; gives the version, and what changed in the configuration."""
    kept = kept_engines(job.folder, job.plan.fingerprint(), product.graph, product.artefacts)
    files = [*product.files, *kept]
    passport = completed(_passport(job, product), (*product.artefacts, *kept.values()), files, log)
    with tempfile.TemporaryDirectory(dir=product.graph.parent.parent) as folder:
        manifest = Path(folder) / MANIFEST
        manifest.write_text(passport.to_json(), encoding="utf-8")
        path = job.folder.config
        # What cannot be edited must stop the build before it publishes; what is edited must not reach the old version.
        rewired(configs.get(path) or read(path), path, passport.artefacts)
        _write(configs)
        version = publish(job.folder, [*files, manifest])
    return version, rewire(job.folder, passport.artefacts)


def _passport(job: Job, product: Product) -> Passport:
    recipe, evidence = product.recipe, product.evidence
    kinds = {proof.kind for artefact in product.artefacts for proof in artefact.parity}
    return Passport(
        model=recipe.name,
        fingerprint=job.plan.fingerprint(),
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=job.options.command or f"engineroom build {recipe.name}",
        profile=Profile.of(recipe),
        limits={one.name: loosest(evidence, one.name, kinds, recipe.tolerance) for one in recipe.outputs},
        libraries=versions(recipe),
        machine=machine_here(),
        artefacts=(),
        islands=recipe.islands,
    )


def _write(configs: dict[Path, str]) -> None:
    for path, text in configs.items():
        write_atomically(path, text)
