from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import _len_torch_function_stack

from attending_models import WORDS, Dotted, Written, asked, same, slow_softmax
from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError
from layerscope.probing.attention import attention
from probed_models import Tokens

# --- Keys and choice ---


def test_every_call_of_a_module_has_its_key() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            once = self.attn(x, x, x)[0]
            return {"states": self.attn(once, once, once)[0]}

    torch.manual_seed(0)
    model, x = Twice().train(), torch.randn(2, 5, 8)
    found = attention(model, x)
    assert list(found) == ["attn", "attn#1"]
    once = model(x)["states"], asked(model.attn, x, x, x)  # the module is now in evaluation mode
    same(found["attn"], once[1])
    first = model.attn(x, x, x)[0]
    same(found["attn#1"], asked(model.attn, first, first, first))
    assert list(attention(model, x, layers=["attn#1"])) == ["attn#1"]


def test_of_several_attentions_in_one_call_the_first_is_kept() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            first = functional.scaled_dot_product_attention(x, x, x)
            return functional.scaled_dot_product_attention(first, x.roll(1), x)

    x = torch.randn(2, 1, 4, 8)
    found = attention(nn.Sequential(Both()), x)
    assert list(found) == ["0"]
    same(found["0"], slow_softmax(x, x, lambda *_: True, 1 / math.sqrt(8)))


def test_attention_of_the_model_itself_goes_by_its_class() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = self.fc(x)
            return functional.scaled_dot_product_attention(x, x, x)

    torch.manual_seed(0)
    model, x = Flat(), torch.randn(2, 2, 4, 8)
    hidden = model.fc(x)
    for layers in ("all", ["<Flat>"]):
        found = attention(model, x, layers=layers)
        assert list(found) == ["<Flat>"]
        same(found["<Flat>"], slow_softmax(hidden, hidden, lambda *_: True, 1 / math.sqrt(8)))


@pytest.mark.parametrize("batch_dim", [0, 1])
def test_windows_stand_behind_each_other_in_their_sample(batch_dim: int) -> None:
    class Windows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = x.movedim(batch_dim, 0).unflatten(1, (3, 2)).flatten(0, 1)[:, None]  # three windows of two tokens
            return functional.scaled_dot_product_attention(x, x, x)

    x = torch.randn(5, 6, 8)
    windows = x.reshape(15, 1, 2, 8)
    expected = slow_softmax(windows, windows, lambda *_: True, 1 / math.sqrt(8))
    found = attention(nn.Sequential(Windows()), x.movedim(0, batch_dim), max_samples=2, batch_dim=batch_dim)
    same(found["0"], expected[:6])


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3, enable_nested_tensor=False)


def test_layers_can_be_chosen() -> None:
    model, x = encoder(), torch.randn(2, 5, 8)
    every = attention(model, x)
    for layers, keys in (
        (["layers.1.self_attn"], ["layers.1.self_attn"]),
        (["layers.[02].*"], ["layers.0.self_attn", "layers.2.self_attn"]),
        ([], []),
    ):
        found = attention(model, x, layers=layers)
        assert list(found) == keys
        for key in keys:
            assert torch.equal(found[key], every[key])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layers": ["layers.0.attn"]}, LayerNotFoundError, r"'layers.0.attn' was asked for.* 'layers.0.self_attn'"),
        ({"layers": ["decoder.*"]}, LayerNotFoundError, r"'decoder.\*' was asked for"),
        (
            {"layers": ["layers.0", "layers.0.self_attn"]},
            CaptureError,
            r"weights of 'layers.0' were asked for, .* Choose among 'layers.0.self_attn', 'layers.1.self_attn',",
        ),
        ({"layers": ["*.norm?"]}, CaptureError, r"weights of '\*.norm\?' were asked for, .* Choose among 'layers.0"),
        ({"layers": ["layers.0.self_attn#1"]}, CaptureError, r"made no such call of 'layers.0.self_attn'"),
        ({"layers": "layers.0.self_attn"}, InvalidArgumentError, r"give \['layers.0.self_attn'\]"),
        ({"layers": "auto"}, InvalidArgumentError, r'must be "all" or a list of layer keys and patterns, .* "auto"'),
        ({"max_samples": 0}, InvalidArgumentError, r"max_samples must be 1 or more, or None for all, but it is 0"),
    ],
)
def test_errors_say_the_rule(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        attention(encoder(), torch.randn(2, 5, 8), **options)


@pytest.mark.parametrize("layers", ["all", ["0"], ["*"]])
def test_a_model_without_attention_says_what_can_be_seen(layers: Any) -> None:
    message = r'nn.MultiheadAttention, .*scaled_dot_product_attention.*FlexAttention.*attn_implementation="eager"'
    with pytest.raises(CaptureError, match=message):
        attention(nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2), layers=layers)


# --- The model is left as it was found ---


class Observed(nn.Module):
    """Each kind of attention, with dropout and BatchNorm; fails midway when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.written = Tokens(), Written(torch.nn.Softmax(-1))
        self.bn, self.dot, self.head = nn.BatchNorm1d(8), Dotted(dropout_p=0.1), nn.Linear(8, 3)
        self.fails = False

    def forward(self, *, ids: Tensor) -> dict[str, Tensor]:
        states = self.written(self.tokens(ids=ids)["states"])
        if self.fails:
            raise ZeroDivisionError
        x = self.bn(states.mT).mT[:, None]
        return {"logits": self.head(self.dot(x, x, x)[:, 0, 0])}


def train(probe: Callable[[Observed], object]) -> list[bytes]:
    """Return the loss and all of the state of every step, also of the random numbers."""
    torch.manual_seed(0)
    model = Observed()
    model.tokens.encoder.norm1.eval().requires_grad_(False)
    optimizer = torch.optim.Adam([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1e-2)
    history: list[bytes] = []
    for step in range(6):
        loss = functional.cross_entropy(model(ids=torch.randint(20, (4, 5)))["logits"], torch.randint(3, (4,)))
        if step % 2 == 0:  # while a backward waits, and the gradients of the step before are there
            probe(model)
        optimizer.zero_grad()
        loss.backward()
        if step % 2 == 1:
            probe(model)
        optimizer.step()
        tensors = [loss, torch.get_rng_state(), *model.state_dict().values(), *(p.grad for p in model.parameters())]
        history += [b"" if tensor is None else tensor.detach().numpy().tobytes() for tensor in tensors]
    return history


def left(model: Observed) -> list[Any]:
    modules = list(model.modules())
    return [
        [module.training for module in modules],
        [(len(module._forward_hooks), len(module._forward_pre_hooks), list(vars(module))) for module in modules],
        [(parameter.requires_grad, id(parameter.grad), parameter._version) for parameter in model.parameters()],
        (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled(), _len_torch_function_stack()),
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_training_is_the_same_bit_by_bit(fails: bool) -> None:
    probed: list[list[str]] = []

    def probe(model: Observed) -> None:
        before = left(model)
        if fails:
            model.fails = True
            with pytest.raises(ZeroDivisionError):
                attention(model, {"ids": WORDS})
            model.fails = False
            probed.append([])
        else:
            probed.append(list(attention(model, {"ids": WORDS})))
        assert left(model) == before

    assert train(probe) == train(lambda model: None)
    keys = [] if fails else ["tokens.encoder.self_attn", "written", "dot"]
    assert probed == [keys] * 6


def test_a_model_that_works_in_place_spoils_neither_the_weights_nor_the_inputs() -> None:
    class InPlace(nn.Module):
        def forward(self, scores: Tensor) -> Tensor:
            assert not torch.is_grad_enabled()
            weights = torch.softmax(scores, -1)
            scores.zero_()
            return weights.zero_()

    weights = torch.rand(1, 1, 2, 3).softmax(-1)
    scores = weights.log()
    same(attention(nn.Sequential(InPlace()), scores)["0"], weights)
    assert torch.equal(scores, weights.log())
