"""ER60: copies of a model, and what they run on."""

from collections.abc import Iterator

from engineroom.repository.lint.case import Case, inside
from engineroom.repository.lint.finding import Found
from engineroom.repository.lint.rule import rule

GPU, CPU, MODEL = 1, 2, 3
"""`ModelInstanceGroup.Kind` (model_config.proto)."""

OVERLAP = 2
"""As many copies pay on any machine: one computes while the other reads its requests and writes its answers."""


@rule("ER601", "error", refused=True)
def gpu_without_a_gpu(case: Case) -> Iterator[Found]:
    """The configuration for a machine without a GPU asks for one.

    Triton refuses the model there: "has kind KIND_GPU but no GPUs are available".

    Mend: Write `kind: KIND_CPU`; `config.pbtxt` is for GPUs.
    """
    for group, value in case.pairs("instance_group") if case.on_cpu else ():
        if group.kind == GPU:
            yield Found(inside(value, "kind"), f"{case.path.name} serves without a GPU", "Write KIND_CPU")


@rule("ER602", "error", refused=True)
def gpus_listed_without_kind(case: Case) -> Iterator[Found]:
    """`gpus` are listed for instances that do not run on GPUs.

    With `KIND_AUTO`, the default, it holds on machines that have those GPUs and is refused elsewhere.

    Mend: Write `kind: KIND_GPU`, or take `gpus` out.
    """
    for group, value in case.pairs("instance_group"):
        if group.gpus and (group.kind in (CPU, MODEL) or (group.kind == 0 and case.on_cpu)):
            yield Found(
                inside(value, "gpus"),
                "gpus are listed for instances on no GPU",
                "Write kind: KIND_GPU, or take gpus out",
            )


@rule("ER603", "error")
def gpu_listed_wrongly(case: Case) -> Iterator[Found]:
    """A GPU is listed twice, or by a negative number.

    GPUs count from 0. The same number twice makes twice the copies on that GPU, which `count` says more plainly.

    Mend: List each GPU once, or say `count`.
    """
    for group, value in case.pairs("instance_group"):
        if any(gpu < 0 for gpu in group.gpus):
            yield Found(
                inside(value, "gpus"), "GPUs count from 0", "Write numbers of 0 or more, or take gpus out for all"
            )
        elif len(set(group.gpus)) < len(group.gpus):
            yield Found(
                inside(value, "gpus"), "a GPU is listed twice", "List it once, and say count", severity="warning"
            )


@rule("ER604", "error")
def tensorrt_on_the_cpu(case: Case) -> Iterator[Found]:
    """An engine of TensorRT is to run on a CPU.

    It runs on GPUs only. What its backend says has not been tried without a GPU.

    Mend: Write `kind: KIND_GPU`; serve CPUs through `configs/cpu.pbtxt` and `backend: "openvino"`.
    """
    if case.backend != "tensorrt":
        return
    for group, value in case.pairs("instance_group"):
        if group.kind == CPU:
            yield Found(inside(value, "kind"), "TensorRT runs on GPUs only", "Write KIND_GPU")
    if case.on_cpu:
        yield Found(
            case.at("platform"),
            f"{case.path.name} serves without a GPU, TensorRT does not",
            'Write backend: "openvino"',
        )


@rule("ER605", "warning")
def count_without_effect(case: Case) -> Iterator[Found]:
    """`count` is 0 or less, which Triton takes for its default.

    It neither switches the model off nor makes as many copies as there are cores: there is one copy, or two.

    Mend: Write the number of copies.
    """
    for group, value in case.pairs("instance_group"):
        written = inside(value, "count")
        if group.count < 0 or (group.count == 0 and written is not value):
            yield Found(
                written, f"a count of {group.count} means Triton's default, 1 or 2", "Write the number of copies"
            )


@rule("ER606", "warning")
def more_instances_than_cores(case: Case) -> Iterator[Found]:
    """More copies on the CPU than this machine has cores.

    They take turns on the same cores: throughput does not grow, and each answer takes longer. Two pay on any machine.

    Mend: Write at most as many copies as there are cores.
    """
    count = sum(max(1, group.count) for group in case.config.instance_group if group.kind == CPU or case.on_cpu)
    if count > max(OVERLAP, case.world.cores):
        said = f"{count} copies share {case.world.cores} cores"
        yield Found(case.at("instance_group"), said, f"Write {max(OVERLAP, case.world.cores)} at most")


@rule("ER607", "warning")
def more_instances_than_memory(case: Case) -> Iterator[Found]:
    """The copies' weights alone do not fit into the GPU's memory.

    Every instance has an execution context of its own, and every version its engine. Counted here: the artefact's size,
    once a served version, and a tenth of it for each copy, which is less than they will need.

    Mend: Write fewer copies, or serve fewer versions.
    """
    memory = case.world.gpu_memory_bytes
    if memory is None or case.passport is None or case.backend != "tensorrt":
        return
    size = max((one.size_bytes for one in case.passport.artefacts), default=0)
    copies = sum(max(1, group.count) for group in case.config.instance_group) or 1
    need = size * len(case.served) * (1 + copies / 10)
    if need > memory:
        said = f"{copies} copies need {need / 2**30:.1f} GiB at least, the GPU has {memory / 2**30:.1f}"
        yield Found(case.at("instance_group"), said, "Write fewer copies")


@rule("ER608", "error", refused=True)
def profile_without_tensorrt(case: Case) -> Iterator[Found]:
    """`profile` names an optimization profile where the platform is not TensorRT's, or is no number.

    Mend: Take it out; profiles are TensorRT's.
    """
    for group, value in case.pairs("instance_group"):
        if not group.profile or case.is_ensemble:
            continue
        if case.backend != "tensorrt":
            yield Found(inside(value, "profile"), f"{case.backend} has no optimization profiles", "Take it out")
        elif bad := [one for one in group.profile if not one.isdecimal()]:
            said = f"a profile is a number in text, not '{bad[0]}'"
            yield Found(inside(value, "profile"), said, 'Write profile: ["0"]', refused=False)


@rule("ER609", "note")
def rate_limits_without_limiter(case: Case) -> Iterator[Found]:
    """Resources of a rate limiter, which Triton looks at only with `--rate-limit=execution_count`.

    Mend: Start the server with that option (`engineroom serve --triton --rate-limit=execution_count`), or take it out.
    """
    for group, value in case.pairs("instance_group"):
        if group.rate_limiter.resources:
            said = "the rate limiter is off unless the server is started with --rate-limit"
            yield Found(
                inside(value, "rate_limiter"), said, "Start it with --rate-limit=execution_count, or take it out"
            )


@rule("ER610", "warning")
def no_active_instance(case: Case) -> Iterator[Found]:
    """All instances are passive.

    A passive instance loads the model and is given no requests: there must be another that is.

    Mend: Take `passive` out of one group.
    """
    groups = case.config.instance_group
    if groups and all(group.passive for group in groups):
        yield Found(case.at("instance_group", "passive"), "no instance takes requests", "Take passive out of one group")
