"""Every rule adds up exactly, and changes nothing of what the operation returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from layerscope.errors import CaptureError
from layerscope.probing.attributions.rescale import NO_RULE, RULES, BaselinePass, RescaledPass

Function = Callable[[Tensor], Tensor]


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.set_default_dtype(torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(fused)
    torch.set_default_dtype(torch.float32)


def multipliers(function: Function, x: Tensor, x0: Tensor) -> tuple[Tensor, Tensor, RescaledPass]:
    """Return the multipliers of the summed output, its change, and the pass."""
    baseline_pass = BaselinePass()
    with torch.no_grad(), baseline_pass:
        y0 = function(x0.clone())
    leaf = x.clone().requires_grad_()
    rescaled = RescaledPass(baseline_pass)
    with rescaled:
        y = function(leaf.clone())
    with torch.no_grad():
        assert torch.equal(y, function(x.clone()))  # values stay, bit by bit
    (found,) = torch.autograd.grad(y.sum(), leaf)
    return found, (y.sum() - y0.sum()).detach(), rescaled


def inputs() -> tuple[Tensor, Tensor]:
    """Return inputs and baselines: the first sample's are zeros, some of the second's are the inputs themselves."""
    generator = torch.Generator().manual_seed(0)
    x, x0 = torch.randn(2, 3, 4, 8, 8, generator=generator)
    x0[0] = 0
    x0[1, 2] = x[1, 2]
    return x, x0


ELEMENTWISE: dict[str, Function] = {
    "abs": abs,
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "elu": F.elu,
    "exp": torch.exp,
    "expit": torch.special.expit,
    "functional in place": lambda x: F.relu(x * 1, inplace=True),
    "gelu": F.gelu,
    "hardswish": F.hardswish,
    "leaky_relu": nn.LeakyReLU(0.1, inplace=True),
    "log": lambda x: torch.log(x + 5),
    "log_sigmoid": F.logsigmoid,
    "power": lambda x: x**3,
    "power of two": lambda x: 2**x,
    "prelu": lambda x: F.prelu(x, torch.tensor([0.1, 0.2, 0.3, 0.4])),
    "reciprocal": lambda x: 1 / (x + 5),
    "relu": F.relu,
    "relu_": lambda x: x.mul(1).relu_(),
    "relu6": nn.ReLU6(inplace=True),
    "relu by hand": lambda x: x * (x > 0),
    "masked": lambda x: x.masked_fill(x < 0, 0.0),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "where of two, a leaky ReLU by hand": lambda x: torch.where(x > 0, x, 0.1 * x),
    "where of two, an ELU by hand": lambda x: (x + 0).where(x > 0, x.expm1()),
    "sign": lambda x: torch.sign(x) * 3,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "sqrt": lambda x: (x + 5).sqrt(),
    "square_": lambda x: (x + 0).square_(),
    "tanh_": torch.tanh_,
    "threshold": nn.Threshold(0.1, 0.0),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_multipliers_are_the_slopes_from_the_baseline_and_derivatives_where_it_is_the_input(
    name: str,
) -> None:
    function, (x, x0) = ELEMENTWISE[name], inputs()
    found, _, rescaled = multipliers(function, x, x0)
    slopes = (function(x.clone()) - function(x0.clone())) / (x - x0)
    leaf = x.clone().requires_grad_()
    (derivatives,) = torch.autograd.grad(function(leaf.clone()).sum(), leaf)
    torch.testing.assert_close(found, torch.where(x == x0, derivatives, slopes), rtol=1e-11, atol=1e-11)
    assert not rescaled.without_rule


ATTENTION = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64).eval().requires_grad_(False)
WEIGHTS = torch.arange(8.0, dtype=torch.float64)

ADDING_UP: dict[str, Function] = {
    "product": lambda x: x * x.flip(0),
    "product in place": lambda x: x.mul(1).mul_(x.flip(-1)),
    "quotient": lambda x: x / (x.flip(1).abs() + 1),
    "matrices": lambda x: x @ x.mT,
    "einsum": lambda x: torch.einsum("abij,abkj->abik", x, x.flip(1)),
    "added product": lambda x: torch.baddbmm(x[0], x[1], x[2]),
    "bilinear": lambda x: F.bilinear(x, x.flip(1), WEIGHTS.expand(3, 8, 8) ** 0.5),
    "where of two": lambda x: torch.where(x > 0.3, x + 2, x.flip(0) * 3),
    "masked_fill of two": lambda x: x.masked_fill(x < 0.2, x.mean()),
    "softmin": lambda x: F.softmin(x, -1) * WEIGHTS,
    "local_response_norm": lambda x: F.local_response_norm(x, 3, alpha=5.0),
    "lp_pool1d": lambda x: F.lp_pool1d(x[0], 2.0, 2),
    "lp_pool2d": lambda x: F.lp_pool2d(x.abs(), 3.0, 2),
    "max_pool1d": lambda x: F.max_pool1d(x[:, 0], 3, 1, 1),
    "max_pool2d, overlapping, padded": nn.MaxPool2d(3, 2, 1),
    "max_pool2d, dilated, with indices": lambda x: F.max_pool2d(x, 2, 1, 0, 2, return_indices=True)[0],
    "max_pool3d": lambda x: F.max_pool3d(x, 2, ceil_mode=True),
    "adaptive_max_pool2d": nn.AdaptiveMaxPool2d(3),
    "max": lambda x: x.max(),
    "max along": lambda x: x.max(1).values,
    "amax": lambda x: x.amax((2,), keepdim=True),
    "min along": lambda x: torch.min(x, -1, keepdim=True)[0],
    "maximum": lambda x: torch.maximum(x, x.flip(0)),
    "maximum with a constant": lambda x: torch.max(x, torch.zeros(8)),
    "softmax": lambda x: x.softmax(-1) * WEIGHTS,
    "steep softmax": lambda x: F.softmax(x * 40, dim=1).square(),
    "log_softmax": lambda x: F.log_softmax(x, -1) * WEIGHTS,
    "logsumexp": lambda x: torch.logsumexp(x, (1, 2)),
    "cross_entropy": lambda x: F.cross_entropy(x[:, 0, 0], torch.tensor([1, 2, 0])),
    "glu": F.glu,
    "layer_norm": lambda x: F.layer_norm(x, (8,), WEIGHTS, WEIGHTS),
    "rms_norm": lambda x: F.rms_norm(x, (8,), WEIGHTS),
    "normalization by hand": lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * WEIGHTS,
    "division by a deviation": lambda x: x / ((x * x).mean(-1, keepdim=True) + 1e-6).sqrt() * WEIGHTS,
    "group_norm": lambda x: F.group_norm(x, 2, WEIGHTS[:4]) * WEIGHTS,
    "attention": lambda x: F.scaled_dot_product_attention(x, x * 2, x.flip(0)),
    "causal attention": lambda x: F.scaled_dot_product_attention(x, x * 2, x, is_causal=True),
    "masked attention": lambda x: F.scaled_dot_product_attention(x, x, x, torch.eye(8, dtype=torch.bool)),
    "multi-head attention": lambda x: ATTENTION(x[:, 0], x[:, 1], x[:, 2])[0],
    "multi-head attention without weights": lambda x: ATTENTION(x[:, 0], x[:, 0], x[:, 0], need_weights=False)[0],
}


@pytest.mark.parametrize("name", ADDING_UP)
def test_multipliers_times_differences_add_up_to_the_change(name: str) -> None:
    x, x0 = inputs()
    found, change, rescaled = multipliers(ADDING_UP[name], x, x0)
    contributed = (found * (x - x0)).sum()
    assert contributed.item() == pytest.approx(change.item(), rel=1e-10, abs=1e-10)
    assert found.abs().max() < 100  # nothing large that cancels
    assert not rescaled.without_rule


def recurrent(kind: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return getattr(nn, kind)(8, 5, dtype=torch.float64, **options).eval().requires_grad_(False)


RECURRENT: dict[str, Function] = {
    "LSTM": lambda x: recurrent("LSTM")(x[0])[0].square(),
    "LSTM, its last cell": lambda x: recurrent("LSTM", num_layers=2)(x[0])[1][1][-1],
    "LSTM both ways": lambda x: recurrent("LSTM", num_layers=2, bidirectional=True, batch_first=True)(x[0])[0],
    "LSTM without biases": lambda x: recurrent("LSTM", bias=False)(x[0])[0],
    "GRU both ways": lambda x: recurrent("GRU", bidirectional=True)(x[0])[0] * WEIGHTS[:5].repeat(2),
    "RNN": lambda x: recurrent("RNN")(x[0])[0],
    "RNN with ReLU": lambda x: recurrent("RNN", nonlinearity="relu")(x[0])[1],
    "LSTM cell": lambda x: recurrent("LSTMCell")(x[0, 0])[0],
    "GRU cell": lambda x: recurrent("GRUCell")(x[0, 0]),
    "RNN cell": lambda x: recurrent("RNNCell")(x[0, 0]),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_operations_add_up(name: str) -> None:
    x, x0 = inputs()
    found, change, rescaled = multipliers(RECURRENT[name], 3 * x, x0)
    assert abs(change.item()) > 0.01
    assert (found * (3 * x - x0)).sum().item() == pytest.approx(change.item(), rel=1e-10)
    assert not rescaled.without_rule


def test_packed_sequences_keep_their_derivative_and_are_named() -> None:
    model = recurrent("LSTM")

    def function(x: Tensor) -> Tensor:
        return model(nn.utils.rnn.pack_padded_sequence(x[0], torch.tensor([4, 3, 1, 1, 1, 1, 1, 1])))[0].data

    x, x0 = inputs()
    found, _, rescaled = multipliers(function, x, x0)
    leaf = x.clone().requires_grad_()
    (derivatives,) = torch.autograd.grad(function(leaf).sum(), leaf)
    torch.testing.assert_close(found, derivatives)
    assert list(rescaled.without_rule) == ["lstm"]


def test_a_product_is_shared_by_halves() -> None:
    a, b, a0, b0 = torch.tensor([[3.0], [5.0], [1.0], [2.0]])
    found, change, _ = multipliers(lambda x: x[0] * x[1], torch.stack([a, b]), torch.stack([a0, b0]))
    assert found.flatten().tolist() == [(5 + 2) / 2, (3 + 1) / 2]
    assert change.item() == 13  # = 2 * 3.5 + 3 * 2


def test_a_maximum_credits_what_became_the_largest_and_debits_what_was() -> None:
    x0, x = torch.tensor([4.0, 1.0, 0.0]), torch.tensor([2.0, 3.0, 0.0])
    found, change, _ = multipliers(torch.max, x, x0)
    assert found.tolist() == [0.5, 0.0, 0.0]  # 4 -> 3: all of the loss to the first, (3 - 4) / (2 - 4)
    assert change.item() == -1
    found, change, _ = multipliers(torch.max, torch.tensor([2.0, 6.0, 0.0]), x0)
    assert found.tolist() == [0.0, 0.4, 0.0]  # 4 -> 6: all of the gain to the second, (6 - 4) / (6 - 1)


def test_overlapping_windows_equal_a_loop_over_them() -> None:
    x, x0 = torch.randn(2, 9, generator=torch.Generator().manual_seed(1))
    expected = torch.zeros(9)
    for start in range(7):
        window, window0 = x[start : start + 3], x0[start : start + 3]
        at, at0 = start + int(window.argmax()), start + int(window0.argmax())
        larger = max(window.max(), window0.max())
        if larger > window0.max():
            expected[at] += (larger - window0.max()) / (x[at] - x0[at])
        if larger > window.max():
            expected[at0] += (window.max() - larger) / (x[at0] - x0[at0])
    found, _, _ = multipliers(lambda x: F.max_pool1d(x[None], 3, 1), x, x0)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x.norm(dim=-1), "norm"),
        (lambda x: x.sort(-1).values * WEIGHTS, "sort"),
        (lambda x: x ** x.abs(), "pow"),
        (lambda x: torch.where(x > 1.5, x - x + 1, x - x + 2), "where"),
        (lambda x: torch.logaddexp(x, -x), "logaddexp"),
        (lambda x: torch.xlogy(x, x), "xlogy"),
        (lambda x: torch.addcdiv(x, x, x + 1), "addcdiv"),
        (lambda x: torch.lerp(x, x * 2, x.sigmoid() * 0 + 0.5), "lerp"),
        (lambda x: x.cummin(-1).values, "cummin"),
        (lambda x: x.logcumsumexp(-1), "logcumsumexp"),
        (lambda x: torch.aminmax(x, dim=-1)[1], "aminmax"),
        (lambda x: F.binary_cross_entropy_with_logits(x, torch.ones_like(x)), "binary_cross_entropy_with_logits"),
    ],
)
def test_operations_without_a_rule_keep_their_derivative_and_are_named(function: Function, name: str) -> None:
    x, _ = inputs()
    x = x.abs() + 1
    found, _, rescaled = multipliers(function, x, torch.ones_like(x))
    leaf = x.clone().requires_grad_()
    (derivatives,) = torch.autograd.grad(function(leaf).sum(), leaf)
    torch.testing.assert_close(found, derivatives)
    assert list(rescaled.without_rule) == [name]


def test_where_both_sides_vary_the_change_is_shared_by_the_squares_of_theirs() -> None:
    a, a0, b, b0 = torch.tensor([[3.0, 1.0], [1.0, 1.0], [5.0, 2.0], [1.0, 2.0]], dtype=torch.float64)
    x, x0 = torch.stack([a, b]), torch.stack([a0, b0])
    found, change, _ = multipliers(lambda x: torch.where(x[0] < x[1], x[0], x[1] * 10), x, x0)
    # The first goes from 10 * b0 = 10, as a0 = b0, to a = 3; a changed by 2 and b by 4. The second does not change.
    assert change.item() == -7 + 0
    share = -7 / (2**2 + 40**2)
    torch.testing.assert_close(found[:, 0], torch.tensor([share * 2, share * 40 * 10], dtype=torch.float64))
    assert found[:, 1].tolist() == [1, 0]


def test_no_operation_has_a_rule_and_none() -> None:
    assert not NO_RULE & RULES.keys()


def test_the_error_where_another_way_is_taken_for_the_baselines_is_readable() -> None:
    def branching(x: Tensor) -> Tensor:
        return x.relu() if x.sum() > 0 else x.exp()

    with pytest.raises(CaptureError) as error:
        multipliers(branching, torch.ones(2, 3), -torch.ones(2, 3))
    assert str(error.value) == (
        "the rescale rule (deep_lift, deep_shap) needs the same operations for the inputs as for the baselines, but "
        "the model ran relu of [2, 3] for the inputs where it ran exp of [2, 3] for the baselines. Choose other "
        "baselines, or integrated_gradients."
    )


def test_what_does_not_depend_on_the_inputs_or_runs_without_gradients_stays() -> None:
    constant = torch.tensor([-1.0, 2.0])

    def function(x: Tensor) -> Tensor:
        with torch.no_grad():
            scale = x.exp().mean()
        return constant.relu() * x + 0 * scale

    found, _, _ = multipliers(function, torch.tensor([3.0, 4.0]), torch.zeros(2))
    assert found.tolist() == [0.0, 2.0]


def test_nothing_stays_after_the_passes() -> None:
    x, x0 = inputs()
    multipliers(F.relu, x, x0)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.relu(leaf).sum(), leaf)
    assert torch.equal(gradient, (x > 0).double())
