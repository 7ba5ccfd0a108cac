"""Two configurations as a list of differences."""

import pytest

from engineroom.repository.explain.compare import differences


def test_same_text_has_no_difference(parse, base):
    assert differences(parse(base), parse(f"# a comment\n{base}")) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("max_batch_size: 4", "max_batch_size: 2", ("max_batch_size", "4", "2")),
        ("max_batch_size: 4", "", ("max_batch_size", "4", "")),
        ("dynamic_batching { }", "", ("dynamic_batching", "{ }", "")),
        ("batching { }", "batching { preferred_batch_size: 2 }", ("dynamic_batching.preferred_batch_size", "", "[2]")),
        ("KIND_CPU", "KIND_GPU", ("instance_group[0].kind", "KIND_CPU", "KIND_GPU")),
        ('"y" data_type: TYPE_FP32', '"y" data_type: TYPE_FP16', ("output[y].data_type", "TYPE_FP32", "TYPE_FP16")),
        ("", 'parameters { key: "A.B" value { string_value: "1" } }', ("parameters[A.B]", "", "1")),
        ("", "response_cache { enable: true }", ("response_cache.enable", "", "true")),
        ("", "version_policy { all { } }", ("version_policy", "", "{ all { } }")),
        ("", "optimization { cuda { graphs: true } }", ("optimization.cuda.graphs", "", "true")),
        ("", 'metric_tags { key: "team" value: "a" }', ("metric_tags[team]", "", "a")),
    ],
)
def test_difference_names_its_path(parse, base, old, new, expected):
    text = base.replace(old, new) if old else base + new
    (found,) = differences(parse(base), parse(text))
    assert (found.path, found.before, found.after) == expected


def test_elements_are_matched_by_name_not_by_place(parse, base):
    more = base.replace('input { name: "x"', 'input { name: "w" data_type: TYPE_INT64 dims: [1] } input { name: "x"')
    (found,) = differences(parse(base), parse(more))
    assert found.path == "input[w]"
    assert found.before == ""
    assert "TYPE_INT64" in found.after


def test_another_order_is_a_difference_because_triton_reloads_for_it(parse, base):
    two = base + 'output { name: "z" data_type: TYPE_FP32 dims: [8] }'
    swapped = 'output { name: "z" data_type: TYPE_FP32 dims: [8] }' + base
    (found,) = differences(parse(two), parse(swapped))
    assert (found.path, found.before, found.after) == ("output", "y, z", "z, y")


def test_nameless_groups_are_matched_by_place(parse, base):
    (found,) = differences(parse(base), parse(base + "instance_group { count: 3 }"))
    assert (found.path, found.key, found.setting) == ("instance_group[1]", "1", "instance_group[]")


def test_setting_forgets_what_is_in_brackets(parse, base):
    text = base + 'cc_model_filenames { key: "9.0" value: "model.sm90.plan" }'
    (found,) = differences(parse(base), parse(text))
    assert (found.path, found.setting, found.key) == ("cc_model_filenames[9.0]", "cc_model_filenames[]", "9.0")
