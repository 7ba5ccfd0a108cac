import pytest

from engineroom.client.metadata import NUMPY_TYPES, ModelMetadata, TensorMetadata, metadata_from_config


@pytest.mark.parametrize(
    "dims", [pytest.param([-1, 3], id="HTTP: numbers"), pytest.param(["-1", "3"], id="gRPC: text")]
)
def test_a_configuration_is_read_from_either_protocol(dims):
    config = {
        "name": "m",
        "max_batch_size": 4,
        "input": [{"name": "text", "data_type": "TYPE_STRING", "dims": dims, "optional": True}],
        "output": [{"name": "y", "data_type": "TYPE_FP16", "dims": [1]}],
    }
    text = TensorMetadata("text", "BYTES", (-1, 3), optional=True)
    assert metadata_from_config(config, "2") == ModelMetadata(
        "m", (text,), (TensorMetadata("y", "FP16", (1,)),), 4, "2"
    )


def test_a_configuration_without_batches_says_so_by_silence():
    assert metadata_from_config({"name": "m"}) == ModelMetadata("m", (), (), max_batch_size=0)


@pytest.mark.parametrize(
    ("max_batch_size", "shape", "words"),
    [
        pytest.param(64, (224, 224, 3), "(1..64, 224, 224, 3)", id="images"),
        pytest.param(8, (-1,), "(1..8, any)", id="varying"),
        pytest.param(1, (3,), "(1, 3)", id="batch of one"),
        pytest.param(0, (-1, 3), "(any, 3)", id="no batches"),
        pytest.param(4, (), "(1..4,)", id="scalars"),
        pytest.param(0, (), "()", id="one scalar"),
    ],
)
def test_accepted_shapes_in_words(max_batch_size, shape, words):
    tensor = TensorMetadata("x", "FP32", shape)
    assert ModelMetadata("m", (tensor,), (), max_batch_size).accepted(tensor) == words


def test_every_type_of_the_protocol_has_a_numpy_type():
    from tritonclient.grpc import model_config_pb2

    names = {name.removeprefix("TYPE_") for name in dict(model_config_pb2.DataType.items())} - {"INVALID"}
    assert names - {"STRING"} | {"BYTES"} == set(NUMPY_TYPES)
