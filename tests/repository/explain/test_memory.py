"""Estimates of memory."""

from dataclasses import replace

import pytest

from engineroom.repository.explain.footprint import footprint_from_xml
from engineroom.repository.explain.memory import compiled_sizes, one_instance, served

MIB = 2**20


def test_instances_and_versions_multiply(parse, base, facts):
    one = served(parse(base), facts).total_bytes
    assert served(parse(base.replace("count: 1", "count: 3")), facts).total_bytes == 3 * one
    assert served(parse(base + "version_policy { all { } }"), facts).total_bytes == 2 * one


def test_every_compiled_size_has_its_own_weights(parse, base, facts):
    few = base + 'parameters { key: "BATCH_SIZES" value { string_value: "4" } }'
    saved = one_instance(parse(base), facts).total_bytes - one_instance(parse(few), facts).total_bytes
    # Batches of 1 and 2 less: FP16 as stored, FP32 as computed in.
    assert saved > 2 * 3 * facts.footprint.weights_bytes


@pytest.mark.parametrize(
    ("elements", "limit", "sizes"),
    [
        (50_000_000, 64, (1, 2, 4, 8)),
        (1_000, 64, (1, 2, 4, 8, 16, 32, 64)),
        (1_000, 3, (1, 2)),
    ],
    ids=["slow", "quick", "small"],
)
def test_sizes_are_doubled_as_long_as_they_should_be_quick(parse, base, facts, elements, limit, sizes):
    config = parse(base.replace("max_batch_size: 4", f"max_batch_size: {limit}"))
    assert compiled_sizes(config, replace(facts.footprint, all_elements=elements)) == sizes


def test_one_model_for_all_sizes_where_more_than_the_batch_varies(parse, base, facts):
    assert compiled_sizes(parse(base), replace(facts.footprint, only_batch_varies=False)) == ()


def test_an_engine_is_there_once_whatever_the_instances(parse, base, facts):
    text = base.replace('backend: "openvino"', 'platform: "tensorrt_plan"')
    one, two = (served(parse(text.replace("count: 1", f"count: {count}")), facts) for count in (1, 2))
    assert one.where == "GPU"
    assert two.total_bytes - one.total_bytes < one.total_bytes - 9_000_000 + 1
    assert "not measured" in one.how


@pytest.mark.parametrize("backend", ["python", "onnxruntime"])
def test_of_other_backends_nothing_is_claimed(parse, base, facts, backend):
    assert served(parse(base.replace("openvino", backend)), facts).total_bytes is None


def test_a_graph_is_read_from_its_description(publish_tiny, tmp_path):
    version = publish_tiny(tmp_path, on_cpu=True).version(1)
    found = footprint_from_xml(version / "model.xml", longest=1)
    assert found.only_batch_varies
    assert found.weights_bytes == (version / "model.bin").stat().st_size
    # The product of 8 by 8: a row in, a row out.
    assert found.live_elements == 16
    assert 4 <= found.layers <= 8


@pytest.mark.parametrize(
    "text", ["", "<net/>", "<net><layers/></net>", "no xml"], ids=["empty", "bare", "half", "text"]
)
def test_what_is_no_description_gives_nothing(tmp_path, text):
    (tmp_path / "model.xml").write_text(text)
    assert footprint_from_xml(tmp_path / "model.xml", longest=1) is None


def test_attention_counts_by_the_longest_sequence_and_its_heads(tmp_path):
    """Tokens of 12 numbers are split over heads of 4 numbers each; the scores are tokens by tokens for each head."""
    port = '<port id="{}" precision="FP32">{}</port>'
    dims = "".join(f"<dim>{size}</dim>" for size in (-1, -1, 12)), "<dim>-1</dim>" * 3 + "<dim>4</dim>"
    scores = "<dim>-1</dim>" * 4
    layers = [
        ("Parameter", "", port.format(0, dims[0])),
        ("Reshape", port.format(0, dims[0]), port.format(1, dims[1])),
        ("MatMul", port.format(0, dims[1]) + port.format(1, dims[1]), port.format(2, scores)),
    ]
    text = "".join(
        f'<layer id="{index}" type="{kind}"><input>{taken}</input><output>{given}</output></layer>'
        for index, (kind, taken, given) in enumerate(layers)
    )
    edges = "".join(
        f'<edge from-layer="{one}" from-port="{out}" to-layer="{other}" to-port="{into}"/>'
        for one, out, other, into in ((0, 0, 1, 0), (1, 1, 2, 0), (1, 1, 2, 1))
    )
    (tmp_path / "model.xml").write_text(f"<net><layers>{text}</layers><edges>{edges}</edges></net>")
    (tmp_path / "model.bin").write_bytes(b"")
    found = footprint_from_xml(tmp_path / "model.xml", longest=10)
    assert found.live_elements == 2 * 3 * 10 * 4 + 3 * 10 * 10
    assert not found.only_batch_varies
