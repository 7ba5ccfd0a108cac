"""Edits keep everything but what was asked for: every test compares the whole text."""

from pathlib import Path

import pytest

from engineroom.errors import RepositoryError
from engineroom.repository.pbtxt.edit import edited

TEXT = """\
# digits: written by hand
name: "digits"   # as on the server
max_batch_size: 8

dynamic_batching {
  # half a millisecond
  max_queue_delay_microseconds: 500  # us
}
input [
  { name: "a" data_type: TYPE_FP32 dims: [ -1, 8 ] },
  { name: "b" data_type: TYPE_FP32 dims: 3 dims: 4 }
]
instance_group { count: 2 kind: KIND_CPU }
version_policy: { latest { num_versions: 1 } }
parameters: { key: "threads" value: { string_value: "1" } }
"""

PATH = Path("digits/config.pbtxt")


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("max_batch_size", "16", "max_batch_size: 8", "max_batch_size: 16"),
        ("name", "other", '"digits"   #', '"other"   #'),
        ("dynamic_batching.max_queue_delay_microseconds", "100", ": 500  # us", ": 100  # us"),
        ("dynamic_batching.max_queue_delay_microseconds", "", "  max_queue_delay_microseconds: 500  # us\n", ""),
        (
            "dynamic_batching.preferred_batch_size", "4,8",
            "500  # us\n}", "500  # us\n  preferred_batch_size: [4, 8]\n}",
        ),
        (
            "dynamic_batching.default_queue_policy.max_queue_size", "16", "500  # us\n}",
            "500  # us\n  default_queue_policy {\n    max_queue_size: 16\n  }\n}",
        ),
        ("input[a].dims", "[-1, 16]", "dims: [ -1, 8 ]", "dims: [-1, 16]"),
        ("input[1].dims", "5", "dims: 3 dims: 4 }", "dims: [5] }"),
        ("input[b]", "", ',\n  { name: "b" data_type: TYPE_FP32 dims: 3 dims: 4 }', ""),
        ("instance_group.count", "4", "count: 2", "count: 4"),
        ("instance_group[0].gpus", "0", "KIND_CPU }", "KIND_CPU gpus: [0] }"),
        ("instance_group[0].kind", "KIND_AUTO", "KIND_CPU", "KIND_AUTO"),
        (
            "version_policy.specific.versions", "3",
            "{ latest { num_versions: 1 } }", "{ specific { versions: [3] } }",
        ),
        ("parameters[threads]", "2", 'string_value: "1"', 'string_value: "2"'),
        ("parameters[threads]", "", 'parameters: { key: "threads" value: { string_value: "1" } }\n', ""),
        ("response_cache.enable", "true", '"1" } }\n', '"1" } }\n\nresponse_cache {\n  enable: true\n}\n'),
        ("dynamic_batching", "{}", "{\n  # half a millisecond\n  max_queue_delay_microseconds: 500  # us\n}", "{}"),
        ("model_warmup", "", "", ""),
        (
            "cc_model_filenames[8.9]", "model.sm89.plan", '"1" } }\n',
            '"1" } }\n\ncc_model_filenames {\n  key: "8.9"\n  value: "model.sm89.plan"\n}\n',
        ),
        (
            "parameters[new key].string_value", 'say "x"', '"1" } }\n',
            '"1" } }\n\nparameters {\n  key: "new key"\n  value {\n    string_value: "say \\"x\\""\n  }\n}\n',
        ),
    ],
)  # fmt: skip
def test_one_change_and_nothing_else(key: str, value: str, old: str, new: str) -> None:
    assert edited(TEXT, PATH, {key: value}) == TEXT.replace(old, new, 1)


def test_several_at_once_stand_on_one_another() -> None:
    changes = {"instance_group[1].count": "1", "instance_group[1].kind": "KIND_CPU"}
    after = edited(TEXT, PATH, changes)
    assert after == TEXT + "\ninstance_group {\n  count: 1\n  kind: KIND_CPU\n}\n"
    with pytest.raises(RepositoryError, match=r"there are 2\. Say which: instance_group\[0\] to instance_group\[1\]"):
        edited(after, PATH, {"instance_group.count": "3"})


def test_a_file_without_an_end_of_line() -> None:
    assert edited('name: "a"', PATH, {"max_batch_size": "2"}) == 'name: "a"\nmax_batch_size: 2\n'
    assert edited("", PATH, {"name": "a"}) == 'name: "a"\n'


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_batchsize", "2", "has no 'max_batchsize'. Did you mean max_batch_size?"),
        ("dynamic_batching.max_queue_delay_us", "2", "Did you mean max_queue_delay_microseconds?"),
        ("dynamic_batching.max_queue_delay_microseconds", "0.5ms", "takes a whole number of microseconds, not '0.5ms'"),
        ("dynamic_batching.max_queue_delay_microseconds", "-1", "takes no number below 0"),
        ("dynamic_batching", "on", "is a message of preferred_batch_size, max_queue_delay_microseconds"),
        ("dynamic_batching.preserve_ordering", "yes", "takes true or false"),
        ("instance_group[0].kind", "GPU", "Did you mean KIND_GPU?"),
        ("instance_group[3].count", "1", r"there are 1, the next one is instance_group[1]"),
        ("max_batch_size.x", "1", "max_batch_size is a plain value"),
        ("max_batch_size[0]", "1", "there is one max_batch_size only"),
        ("input.dims", "1", "there are 2. Say which"),
        ("", "1", "names no setting"),
        ("a..b", "1", "names no setting"),
        ("version_policy", "{ specific { versions: }", "is not a Triton model configuration"),
    ],
)
def test_what_does_not_fit_is_refused(key: str, value: str, message: str) -> None:
    with pytest.raises(RepositoryError) as refused:
        edited(TEXT, PATH, {key: value})
    assert message in str(refused.value)
