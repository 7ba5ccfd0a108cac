"""The module's own rounding: the scale that every error is judged by."""

from typing import Any

import numpy as np
import pytest
import torch

from engineroom.compile.truth.noise import in_int8, rounded, rounded_answer

VALUES = torch.tensor([1.0, 1.0004883, 1.0014648, -3.14159, 65504.0, 1e-30, 0.0, torch.inf, -torch.inf])


@pytest.mark.parametrize(("bits", "dtype"), [(11, torch.float16), (8, torch.bfloat16)], ids=["fp16", "bf16"])
def test_rounding_is_that_of_the_type_where_it_reaches(bits: int, dtype: torch.dtype) -> None:
    values = torch.cat([VALUES[VALUES.abs() != 1e-30], torch.randn(10_000, generator=torch.manual_seed(0))])
    near = values[values.abs() > 2**-14]  # below, FP16 loses bits to its short exponent
    assert torch.equal(rounded(near, bits), near.to(dtype).float())


def test_exponents_stay_those_of_fp32() -> None:
    largest = torch.finfo(torch.float32).max
    values = torch.tensor([1e-30, 1e30, largest, -largest])
    assert torch.isfinite(rounded(values, 11)).all()
    torch.testing.assert_close(rounded(values, 11), values, rtol=2**-11, atol=0)


@pytest.mark.parametrize("value", [torch.arange(3), torch.tensor([True]), None, 7, "text"], ids=str)
def test_what_is_no_fp32_tensor_stays(value: Any) -> None:
    assert rounded(value, 8) is value


class Steps(torch.nn.Module):
    """A weight, a view of it, an operation in place, and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(16, 16)
        self.register_buffer("shift", torch.full((16,), 1 / 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        y += self.shift
        y = y.unsqueeze(1)
        return torch.nn.functional.scaled_dot_product_attention(y, y, y).squeeze(1) / 7


@pytest.fixture
def module() -> Steps:
    torch.manual_seed(0)
    return Steps().eval()


def test_noise_is_of_the_size_that_the_type_in_hardware_has(module: Steps) -> None:
    x = torch.randn(64, 16, generator=torch.manual_seed(1))
    with torch.inference_mode():
        exact = module(x)
        half = module.half()(x.half()).float()
        noisy = rounded_answer(module.float(), (x,), "fp16")
    ours, theirs = ((one - exact).square().mean().sqrt().item() for one in (noisy, half))
    assert 0.5 < ours / theirs < 2


def test_bf16_is_eight_times_as_noisy_and_the_module_is_left_as_it_was(module: Steps) -> None:
    x = torch.randn(256, 16, generator=torch.manual_seed(1))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    exact = module(x).detach()
    fp16, bf16 = ((rounded_answer(module, (x,), kind) - exact).square().mean().sqrt() for kind in ("fp16", "bf16"))
    assert 5 < bf16 / fp16 < 12
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_overflow_of_fp16_does_not_widen_the_scale() -> None:
    class Square(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x * x).sqrt()

    x = torch.tensor([[1000.3]])
    assert abs(rounded_answer(Square(), (x,), "fp16").item() - 1000.3) < 1
    assert np.isinf(Square().half()(x.half()).item())


def test_int8_has_a_scale_for_every_channel_and_keeps_its_largest_value() -> None:
    weight = torch.randn(3, 500, generator=torch.manual_seed(0)) * torch.tensor([[1.0], [100.0], [0.0]])
    short = in_int8(weight, axis=0)
    for before, after in zip(weight, short, strict=True):
        step = before.abs().max() / 127
        assert len(after.unique()) <= 255
        torch.testing.assert_close(after.abs().max(), before.abs().max())
        assert (after - before).abs().max() <= 0.5001 * step
    assert in_int8(weight)[0].unique().numel() < 10  # one scale for all: the largest channel decides


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad], ids=lambda mode: mode.__name__)
def test_int8_noise_is_that_of_products_with_weights(module: Steps, mode: Any) -> None:
    """Two modes, because PyTorch takes a linear layer apart in only one of them."""
    x = torch.randn(64, 16, generator=torch.manual_seed(1))
    with mode():
        noisy = rounded_answer(module, (x,), "int8")
        kept = module.linear
        weight, rows = in_int8(kept.weight, axis=0), in_int8(x)
        by_hand = torch.nn.functional.linear(rows, weight, kept.bias) + module.shift
        by_hand = torch.nn.functional.scaled_dot_product_attention(*[by_hand.unsqueeze(1)] * 3).squeeze(1) / 7
        exact = module(x)
    # The values around are rounded to FP16, which takes one to the next level now and then.
    assert (noisy - by_hand).square().mean() < 0.1 * (noisy - exact).square().mean()


def test_branches_count_as_one_operation() -> None:
    class Branches(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cond(x.sum() > 0, lambda x: x / 3, lambda x: x / 7, (x,)) * 2

    for x in (torch.ones(2, 4), -torch.ones(2, 4)):
        with torch.inference_mode():
            exact, noisy = Branches()(x), rounded_answer(Branches(), (x,), "fp16")
        assert not torch.equal(exact, noisy)
        torch.testing.assert_close(exact, noisy, rtol=2**-10, atol=0)
