"""The stand-ins refuse what the real library of their version has not got."""

from typing import Any

import pytest

VERSIONS = ["tensorrt-10.16", "tensorrt-11.4", "tensorrt-rtx-1.7"]


@pytest.fixture
def trt(tensorrt_double: Any) -> Any:
    return tensorrt_double.double("tensorrt-11.4")


def test_what_11_removed_is_there_in_10_and_not_in_11(tensorrt_double: Any, trt: Any) -> None:
    assert tensorrt_double.double("tensorrt-10.16").BuilderFlag.FP16.name == "FP16"
    with pytest.raises(AttributeError, match="FP16"):
        trt.BuilderFlag.FP16  # noqa: B018 - reading it is what must fail
    with pytest.raises(AttributeError, match="EXPLICIT_BATCH"):
        trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH  # noqa: B018
    assert not hasattr(trt.Builder(None), "platform_has_fast_fp16")


@pytest.mark.parametrize("name", ["ComputeCapability", "Calibrator", "parse"])
def test_missing_class_or_function_is_an_attribute_error(trt: Any, name: str) -> None:
    with pytest.raises(AttributeError, match=f"tensorrt 11.4.0.106 has no '{name}'"):
        getattr(trt, name)


def test_missing_method_or_property_is_an_attribute_error(trt: Any) -> None:
    config = trt.Builder(None).create_builder_config()
    with pytest.raises(AttributeError, match="max_workspace_size"):
        config.max_workspace_size  # noqa: B018
    with pytest.raises(AttributeError, match="max_workspace_size"):
        config.max_workspace_size = 1
    with pytest.raises(AttributeError, match="set_compute_capability"):
        config.set_compute_capability(0, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_arguments_must_fit_the_signature(tensorrt_double: Any, version: str) -> None:
    builder = tensorrt_double.double(version).Builder(None)
    assert builder.create_network(flags=1) is not None
    for args, kwargs in (((1, 2), {}), ((), {"flag": 1})):
        with pytest.raises(TypeError, match="argument"):
            builder.create_network(*args, **kwargs)
    with pytest.raises(TypeError, match="argument"):
        builder.create_builder_config(1)
    with pytest.raises(TypeError, match="argument"):
        builder.create_optimization_profile().set_shape("x", (1,), (1,))


def test_only_what_a_program_makes_has_a_constructor(trt: Any) -> None:
    with pytest.raises(TypeError, match="No constructor defined"):
        trt.IBuilderConfig()


def test_flags_do_no_arithmetic_of_their_own(trt: Any) -> None:
    with pytest.raises(TypeError):
        1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED


def test_calls_are_recorded_with_their_arguments_by_name(trt: Any) -> None:
    trt.Builder(None).create_network(4)
    assert trt.called("Builder.create_network") == [{"flags": 4}]


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("f(self: A) -> None", ["self"]),
        ("f(self: A, b: list[tuple[int, str]], c: int = 0) -> tuple[int, int]", ["self", "b", "c"]),
        ("f(self: A, name: str, min: Dims, max: tenso", ["self", "name", "min", "max", "further"]),
    ],
    ids=["no argument", "brackets and a default", "cut"],
)
def test_signature_is_read_from_the_docstring(tensorrt_double: Any, text: str, parameters: list[str]) -> None:
    assert list(tensorrt_double.signature_from_text(text).parameters) == parameters


def test_overload_shows_no_signature(tensorrt_double: Any) -> None:
    assert tensorrt_double.signature_from_text("f(*args, **kwargs)") is None


def test_surface_of_rtx_is_that_of_the_library_installed_here(tensorrt_double: Any) -> None:
    """The dump can be trusted: the one version that can be installed without a GPU is compared with it."""
    import tensorrt_rtx

    surface = tensorrt_double.double("tensorrt-rtx-1.7").surface
    assert tensorrt_rtx.__version__ == surface["version"]
    for name, members in surface["classes"].items():
        for member in members:
            assert hasattr(getattr(tensorrt_rtx, name), member), f"{name}.{member}"
    for name, members in surface["enums"].items():
        assert set(members) == set(getattr(tensorrt_rtx, name).__members__), name
