import re

import ml_dtypes
import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from engineroom.client.check import array_for, checked
from engineroom.client.metadata import ModelMetadata, TensorMetadata
from engineroom.errors import BadInput

IMAGES = ModelMetadata("photos", (TensorMetadata("image", "UINT8", (224, 224, 3)),), (), max_batch_size=64)
TOKENS = ModelMetadata(
    "tokens",
    (TensorMetadata("ids", "INT64", (-1,)), TensorMetadata("mask", "INT64", (-1,))),
    (),
    max_batch_size=8,
)

ENDLESS: list = []
ENDLESS.append(ENDLESS)


def model_of(dtype: str, shape: tuple[int, ...] = (2,), max_batch_size: int = 0) -> ModelMetadata:
    return ModelMetadata("m", (TensorMetadata("x", dtype, shape),), (), max_batch_size)


def sent(dtype: str, value):
    model = model_of(dtype)
    return array_for(model, model.inputs[0], value)


def test_a_wrong_shape_is_answered_in_the_form_of_the_house():
    with pytest.raises(BadInput) as caught:
        checked(IMAGES, {"image": np.zeros((1, 200, 200, 3), np.uint8)})
    assert str(caught.value) == (
        "photos: input 'image' has shape (1, 200, 200, 3), the model takes (1..64, 224, 224, 3). "
        "Resize axis 1, 2, or widen the recipe."
    )


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        pytest.param((224, 224, 3), "Add the batch axis: image[np.newaxis].", id="no batch axis"),
        pytest.param((1, 1, 224, 224, 3), "It needs 4 axes, not 5.", id="one axis too many"),
        pytest.param((0, 224, 224, 3), "Send at least one row.", id="no rows"),
        pytest.param((2, 224, 224, 4), "Resize axis 3", id="four channels"),
    ],
)
def test_a_wrong_shape_is_answered_with_advice(shape, advice):
    with pytest.raises(BadInput, match=re.escape(advice)):
        checked(IMAGES, {"image": np.zeros(shape, np.uint8)})


def test_a_batch_of_single_values_is_answered_with_the_column():
    with pytest.raises(
        BadInput, match=re.escape("has shape (3,), the model takes (1..4, 1). One value a row: x[:, np.newaxis].")
    ):
        checked(model_of("BYTES", (1,), 4), {"x": ["a", "b", "c"]})


def test_more_rows_than_the_largest_batch_are_right():
    assert checked(IMAGES, {"image": np.zeros((70, 224, 224, 3), np.uint8)})[0].array.shape[0] == 70


def test_a_size_that_varies_takes_any_length():
    ids, mask = checked(TOKENS, {"mask": np.ones((2, 5), np.int64), "ids": np.ones((2, 5), np.int64)})
    assert (ids.name, mask.name) == ("ids", "mask")


def test_without_batches_the_shape_is_the_whole_shape():
    model = model_of("FP32", (-1, 3))
    assert checked(model, {"x": np.zeros((0, 3), np.float32)})
    with pytest.raises(BadInput, match=re.escape("has shape (3,), the model takes (any, 3)")):
        checked(model, {"x": np.zeros(3, np.float32)})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        pytest.param(
            {},
            "tokens: input 'ids' (INT64, (1..8, any)), 'mask' (INT64, (1..8, any)) is missing.",
            id="none",
        ),
        pytest.param({"ids": [[1]]}, "tokens: input 'mask' (INT64, (1..8, any)) is missing.", id="one missing"),
        pytest.param(
            {"ids": [[1]], "msak": [[1]]},
            "tokens: input 'msak' is unknown, the model has: ids, mask. Did you mean 'mask'?",
            id="misspelt",
        ),
        pytest.param({7: [[1]]}, "tokens: input '7' is unknown, the model has: ids, mask.", id="no name at all"),
        pytest.param(
            {"ids": [[1], [2]], "mask": [[1]]},
            "tokens: the inputs differ in batch size: 'ids' has 2 rows, 'mask' has 1 rows. Send as many rows of each.",
            id="batches differ",
        ),
    ],
)
def test_wrong_inputs_are_named(inputs, message):
    with pytest.raises(BadInput) as caught:
        checked(TOKENS, inputs)
    assert str(caught.value) == message


def test_an_optional_input_may_be_left_out_but_not_every_input():
    model = ModelMetadata(
        "m", (TensorMetadata("x", "FP32", (1,), optional=True), TensorMetadata("y", "FP32", (1,), optional=True)), ()
    )
    assert [tensor.name for tensor in checked(model, {"y": [1.0]})] == ["y"]
    with pytest.raises(BadInput, match=r"no input is given. The model takes: x, y"):
        checked(model, {})


@pytest.mark.parametrize(
    ("dtype", "array", "advice"),
    [
        pytest.param(
            "FP32",
            np.zeros(2),
            "has dtype float64, the model takes FP32 (float32). Say .astype(np.float32)",
            id="float64 for FP32",
        ),
        pytest.param("FP32", np.zeros(2, np.uint8), "Say .astype(np.float32)", id="pixels for FP32"),
        pytest.param("INT64", np.zeros(2, np.int32), "Say .astype(np.int64)", id="int32 for INT64"),
        pytest.param("BOOL", np.zeros(2, np.int8), "Say .astype(bool)", id="int8 for BOOL"),
        pytest.param(
            "BF16",
            np.zeros(2),
            "the model takes BF16 (float32). Say .astype(np.float32)",
            id="float64 for BF16",
        ),
        pytest.param("FP32", np.array(["1", "2"]), "has dtype <U1", id="text for FP32"),
        pytest.param("FP32", np.ones(2, bool), "has dtype bool", id="booleans for FP32"),
        pytest.param("FP32", np.ones(2, np.complex64), "Say .real.astype(np.float32)", id="complex numbers"),
        pytest.param("FP32", np.array([1.0, 2.0], object), "has dtype object", id="objects"),
        pytest.param("INT64", np.zeros(2, "M8[s]"), "has dtype datetime64[s]", id="dates"),
        pytest.param("FP32", np.zeros(2, [("a", "f4")]), "has dtype [('a', '<f4')]", id="fields"),
        pytest.param("FP16", np.zeros(2, np.float32), "Say .astype(np.float16)", id="float32 for FP16"),
        pytest.param("FP32", np.zeros(2, np.float16), "Say .astype(np.float32)", id="float16 for FP32"),
        pytest.param("FP16", np.zeros(2, ml_dtypes.bfloat16), "has dtype bfloat16", id="bfloat16 for FP16"),
        pytest.param("INT32", torch.zeros(2), "has dtype float32", id="a torch tensor"),
        pytest.param("FP32", [np.float64(1), np.float64(2)], "has dtype float64", id="a list of typed numbers"),
    ],
)
def test_an_array_of_another_type_is_refused(dtype, array, advice):
    with pytest.raises(BadInput, match=re.escape(advice)):
        sent(dtype, array)


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        pytest.param("FP32", [0.1, 2], np.array([0.1, 2], np.float32), id="fractions for FP32"),
        pytest.param("FP16", (1, 2), np.array([1, 2], np.float16), id="integers for FP16"),
        pytest.param("UINT8", [0, 255], np.array([0, 255], np.uint8), id="integers for UINT8"),
        pytest.param("BOOL", [True, False], np.array([True, False]), id="booleans for BOOL"),
        pytest.param("BF16", [1.5, 2.5], np.array([1.5, 2.5], np.float32), id="fractions for BF16"),
        pytest.param("FP32", np.array([1, 2], ">f4"), np.array([1, 2], np.float32), id="the other byte order"),
        pytest.param(
            "BF16",
            np.array([1, 2], ml_dtypes.bfloat16),
            np.array([1, 2], np.float32),
            id="ml_dtypes bfloat16",
        ),
        pytest.param(
            "FP32",
            [np.float32(1), np.float32(2)],
            np.array([1, 2], np.float32),
            id="a list of typed numbers",
        ),
        pytest.param("FP32", torch.tensor([1.0, 2.0]), np.array([1, 2], np.float32), id="a torch tensor"),
        pytest.param(
            "FP32", [torch.tensor(1.0), torch.tensor(2.0)], np.array([1, 2], np.float32), id="a list of torch tensors"
        ),
        pytest.param("FP32", np.ma.array([1, 2], "f4"), np.array([1, 2], np.float32), id="nothing of it masked"),
        pytest.param("FP32", np.ones((2, 9), "f4")[:, 3], np.array([1, 1], np.float32), id="one column"),
        pytest.param("FP32", np.broadcast_to(np.float32(3), 2), np.array([3, 3], np.float32), id="one value for all"),
        pytest.param("FP32", np.array([np.nan, 1], "f4"), np.array([np.nan, 1], np.float32), id="NaN in an array"),
        pytest.param("FP32", [np.inf, np.nan], np.array([np.inf, np.nan], np.float32), id="infinity and NaN"),
    ],
)
def test_values_that_survive_are_taken(dtype, value, expected):
    array = sent(dtype, value)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        pytest.param("UINT8", [0, 256], "holds values that UINT8 cannot (0 to 256)", id="too large"),
        pytest.param("UINT8", [-1, 0], "holds values that UINT8 cannot (-1 to 0)", id="negative"),
        pytest.param("UINT64", [-1, 0], "holds values that UINT64 cannot (-1 to 0)", id="negative for UINT64"),
        pytest.param("FP64", [2**53 + 1, 0], "holds values that FP64 cannot", id="not exact in FP64"),
        pytest.param("FP32", [2**24 + 1, 0], "holds values that FP32 cannot (0 to 16777217)", id="not exact"),
        pytest.param("FP16", [1e6, 0.0], "holds values that FP16 cannot (0.0 to 1000000.0)", id="overflow"),
        pytest.param("INT32", [0.5, 1.0], "holds fractions, the model takes INT32 (int32)", id="fractions"),
        pytest.param("INT32", [True, False], "holds booleans, the model takes INT32", id="booleans"),
        pytest.param("BOOL", [0, 1], "holds integers, the model takes BOOL", id="integers for BOOL"),
        pytest.param("FP32", ["a", "b"], "holds text, the model takes FP32", id="text"),
        pytest.param("FP32", [None, None], "holds objects such as None", id="objects"),
        pytest.param("FP32", [[1.0], [1.0, 2.0]], "cannot be made an array", id="ragged"),
        pytest.param("FP32", [np.zeros(2, "f4"), np.zeros(3, "f4")], "cannot be made an array", id="ragged arrays"),
        pytest.param("FP32", [1j, 2], "holds complex numbers, the model takes FP32", id="complex numbers"),
        pytest.param("INT64", [2**70, 1], "holds objects such as 1180591620717411303424", id="beyond 64 bits"),
        pytest.param("FP32", {"a": [0.0] * 99}, "holds objects such as {'a': [0.0, 0.0, ", id="a mapping"),
        pytest.param("FP32", None, "holds objects such as None", id="nothing"),
        pytest.param("FP32", [], "has shape (0,), the model takes (2,)", id="an empty list"),
        pytest.param("FP32", 1.0, "has shape (), the model takes (2,)", id="one number"),
        pytest.param("UINT8", "photo.jpg", "holds text, the model takes UINT8", id="a file's name"),
        pytest.param("UINT8", b"\xff\xd8", "holds bytes, the model takes UINT8", id="a file's bytes"),
        pytest.param(
            "FP32", np.ma.array([1, 2], "f4", mask=[0, 1]), "has masked values, and a tensor has no mask", id="a mask"
        ),
        pytest.param("FP32", [1.0, np.ma.masked], "has masked values, and a tensor has no mask", id="a masked one"),
        pytest.param("FP32", csr_matrix(np.eye(2)), "is a sparse csr_matrix. Say .toarray().", id="sparse"),
        pytest.param(
            "FP32", torch.eye(2).to_sparse(), "cannot be made an array: can't convert Sparse", id="sparse torch"
        ),
        pytest.param("FP32", torch.ones(2, requires_grad=True), "requires grad", id="a tensor with gradients"),
        pytest.param(
            "FP32",
            torch.ones(2, dtype=torch.bfloat16),
            "Say .detach().cpu(), and .float() of a BF16 one.",
            id="BF16 of torch",
        ),
        pytest.param("FP32", ENDLESS, "cannot be made an array", id="a list in itself"),
    ],
)
def test_values_that_do_not_survive_are_refused(dtype, value, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        sent(dtype, value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["grün", b"\x00\xff\x00"], id="list"),
        pytest.param(np.array(["grün", b"\x00\xff\x00"], object), id="object array"),
    ],
)
def test_strings_become_bytes_and_lose_nothing(value):
    assert sent("BYTES", value).tolist() == ["grün".encode(), b"\x00\xff\x00"]


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_numpys_string_types_are_taken(dtype):
    assert sent("BYTES", np.array(["a", "bc"], dtype)).tolist() == [b"a", b"bc"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param([1, 2], "takes BYTES: an array of str or bytes, 1 is neither", id="numbers"),
        pytest.param([["a"], ["b", "c"]], r"takes BYTES: .*, \['a'\] is neither", id="ragged"),
        pytest.param([bytearray(b"a"), "a"], "takes BYTES: .*, bytearray.* is neither", id="bytes that may change"),
        pytest.param(["a" * 500, None], "None is neither", id="None after a long text"),
        pytest.param([[0] * 500, "a"], r"\.\.\.\] is neither", id="a long list"),
        pytest.param([np.zeros((2, 2)), np.zeros((2, 3))], "cannot be made an array", id="arrays of two shapes"),
        pytest.param(np.ma.array(["a", "b"], mask=[0, 1]), "has masked values", id="a mask"),
        pytest.param([None, "a"], "takes BYTES: an array of str or bytes, None is neither", id="None"),
        pytest.param(["\ud800", "a"], "holds text that is not valid Unicode", id="half a surrogate pair"),
    ],
)
def test_what_is_no_string_is_refused(value, message):
    with pytest.raises(BadInput, match=message):
        sent("BYTES", value)
