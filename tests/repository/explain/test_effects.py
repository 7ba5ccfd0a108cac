"""What is foreseen of a change."""

from dataclasses import replace
from pathlib import Path

import pytest

from engineroom.repository.config import config_from_text
from engineroom.repository.explain.effects import changes
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.outlook import BETTER, EITHER, SAME, WORSE, Trend, most

ON_GPU = """
name: "tiny"
platform: "tensorrt_plan"
max_batch_size: 4
dynamic_batching { }
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output { name: "y" data_type: TYPE_FP32 dims: [8] }
instance_group { count: 1 kind: KIND_GPU }
"""


def only(found):
    (change,) = found
    return change


def test_nothing_differs_nothing_is_said(changes_of):
    assert changes_of() == ()


def test_alone_instances_change_in_place_and_keep_their_threads(changes_of):
    change = only(changes_of("count: 1", "count: 2"))
    assert change.needs == "update"
    assert change.does.startswith("2 instances x 4 threads on 4 cores, it was 1 x 4.")
    assert "4 each, not 2" in change.does


def test_with_another_change_instances_share_the_cores_anew(changes_of):
    batching, count = changes_of("dynamic_batching { }", "", "count: 1", "count: 2")
    assert (batching.needs, count.needs) == ("reload", "reload")
    assert count.does == "2 instances x 2 threads on 4 cores, it was 1 x 4."
    # With half the threads, one request alone takes longer.
    assert count.quiet == Trend("down", "up", "up")


@pytest.mark.parametrize(
    ("old", "new", "busy"),
    [
        ("count: 1", "count: 2", BETTER),
        ("dynamic_batching { }", "", EITHER),
        ("dynamic_batching { }", "dynamic_batching { max_queue_delay_microseconds: 500 }", EITHER),
        ("batching { }", "batching { default_queue_policy { max_queue_size: 3 } }", Trend("either", "either", "down")),
        ("batching { }", "batching { default_queue_policy { max_queue_size: 8 } }", Trend("same", "down", "down")),
        ("batching { }", "batching { preserve_ordering: true }", Trend("same", "either", "up")),
        ("", 'metric_tags { key: "team" value: "vision" }', SAME),
    ],
)
def test_figures_move_under_load(changes_of, old, new, busy):
    assert changes_of(old, new)[0].busy == busy


def test_batches_pay_for_small_models_and_on_gpus(changes_of, facts):
    small = replace(facts, footprint=replace(facts.footprint, all_elements=1000))
    assert only(changes_of("dynamic_batching { }", "", facts=small)).busy == WORSE
    assert only(changes_of("dynamic_batching { }", "", base=ON_GPU)).busy == WORSE


def test_a_small_model_promises_nothing_of_more_instances(changes_of, facts):
    small = replace(facts, footprint=replace(facts.footprint, all_elements=1000))
    assert only(changes_of("count: 1", "count: 2", facts=small)).busy == EITHER


def test_a_delay_costs_a_lone_request_what_it_says_and_compares_it_with_the_promise(changes_of):
    change = only(changes_of("batching { }", "batching { max_queue_delay_microseconds: 5000 }"))
    assert change.quiet == Trend("down", "up", "up")
    assert "fewer than 4 rows waiting waits up to 5 ms for company, 5% of the 100 ms" in change.does
    assert change.latency == "rises when quiet, depends when busy"


def test_a_queue_too_short_for_a_batch_makes_every_batch_wait(changes_of):
    queue = "default_queue_policy { max_queue_size: 3 } max_queue_delay_microseconds: 5000"
    delay, _ = changes_of("batching { }", f"batching {{ {queue} }}")
    assert "The queue takes 3 requests: with one row in each, every batch waits" in delay.does


def test_a_shorter_delay_gives_it_back(changes_of, base):
    delayed = base.replace("batching { }", "batching { max_queue_delay_microseconds: 5000 }")
    assert only(changes_of("5000", "1000", base=delayed)).quiet == Trend("up", "down", "down")


def test_a_preferred_size_is_the_largest_batch_that_a_queue_gives(changes_of):
    change = only(changes_of("batching { }", "batching { preferred_batch_size: [1, 2] }"))
    assert "batches of 2 rows at most, it was 4" in change.does


@pytest.mark.parametrize(
    ("edits", "callers"),
    [
        (("max_batch_size: 4", "max_batch_size: 2"), "more than 2 rows are refused"),
        (('output { name: "y"', 'output { name: "z"'), "'y' can no longer be asked for"),
        (('"y" data_type: TYPE_FP32', '"y" data_type: TYPE_FP16'), "'y' arrives as TYPE_FP16"),
        (("", 'input { name: "k" data_type: TYPE_FP32 dims: 1 }'), "must send 'k'"),
        (("", "model_transaction_policy { decoupled: true }"), "Only streams over gRPC"),
        (("dynamic_batching { }", "sequence_batching { }"), "correlation id"),
        (("", "version_policy { specific { versions: 1 } }"), "name version 2 are refused"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1][:30],
)
def test_callers_are_warned(changes_of, edits, callers):
    assert callers in " ".join(change.callers for change in changes_of(*edits))


def test_more_rows_than_were_proven_need_a_build_which_only_an_engine_enforces(changes_of):
    on_cpu = only(changes_of("max_batch_size: 4", "max_batch_size: 8"))
    on_gpu = only(changes_of("max_batch_size: 4", "max_batch_size: 8", base=ON_GPU))
    assert (on_cpu.needs, on_cpu.loads) == ("rebuild", True)
    assert (on_gpu.needs, on_gpu.loads) == ("rebuild", False)
    assert "profile, which ends at 4" in on_gpu.refusal


def test_another_backend_needs_an_artefact_of_its_own(changes_of):
    held = changes_of('backend: "openvino"', 'platform: "tensorrt_plan"')
    lacking = changes_of('backend: "openvino"', 'backend: "onnxruntime"')
    assert {change.needs for change in held if change.path in ("platform", "backend")} == {"reload"}
    assert {change.needs for change in lacking} == {"rebuild"}


def test_sizes_of_the_profile_mend_a_wrong_configuration(changes_of, base):
    change = only(changes_of("dims: [4]", "dims: [8]", base=base.replace("dims: [8]", "dims: [4]", 1)))
    assert (change.path, change.needs) == ("input[x].dims", "reload")


def test_memory_of_all_changes_is_the_sum(changes_of):
    every = changes_of("count: 1", "count: 2", "", "version_policy { all { } }")
    both = only(changes_of("count: 1", "count: 2")), only(changes_of("", "version_policy { all { } }"))
    assert sum(change.memory_bytes for change in every) == 3 * both[0].memory_bytes
    assert both[0].memory_bytes == both[1].memory_bytes > 0


def test_without_facts_less_is_said_and_nothing_is_invented(parse, base):
    change = only(changes(parse(base), parse(base.replace("count: 1", "count: 2"))))
    assert change.memory_bytes is None
    assert "memory unknown" in change.sentence


def test_hardware_decides_what_bf16_brings(changes_of, facts):
    edit = ("", 'parameters { key: "HINT_BF16" value { string_value: "YES" } }')
    assert only(changes_of(*edit, facts=replace(facts, amx=True))).busy == BETTER
    assert only(changes_of(*edit)).busy.throughput == "either"


def test_a_setting_without_a_rule_is_left_open(changes_of):
    change = only(changes_of("", 'model_operations { op_library_filename: "x.so" }'))
    assert change.throughput == change.latency == "depends"
    assert "not known" in change.does


def test_the_most_of_some_needs():
    assert most(("update", "rebuild", "reload")) == "rebuild"
    assert most(()) == "nothing"


def test_one_line_says_all_of_it(changes_of):
    change = only(changes_of("max_batch_size: 4", "max_batch_size: 2"))
    for part in ("max_batch_size: 4 -> 2", "needs a reload", "host memory -", "throughput", "Callers:"):
        assert part in change.sentence


def test_where_every_instance_starts_anew_the_threads_are_shared_out() -> None:
    before = config_from_text('backend: "openvino" instance_group { count: 2 kind: KIND_CPU }', Path("a"))
    after = config_from_text('backend: "openvino" instance_group { count: 1 kind: KIND_CPU }', Path("a"))
    for anew, needs, told in ((False, "update", "1 instance x 1 thread"), (True, "reload", "1 instance x 2 threads")):
        (change,) = changes(before, after, facts=Facts(cores=2, anew=anew))
        assert (change.needs, change.does.startswith(told)) == (needs, True), change.does
