"""Inputs and networks that look like others: positions made of padding, lengths beside tokens, views changed later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor, nn
from torch.nn import functional

import layerscope
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing import capture as capturing
from layerscope.probing.attributions import METHODS, attribute, attribute_all
from layerscope.probing.attributions.grad_cam import GradCam
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.trust import score

PAD = 1
IDS = torch.tensor([[5, 3, 7, 2], [4, 6, PAD, PAD], [2, 9, 8, PAD]])
TARGETS = [0, 1, 2]


class Padded(nn.Module):
    """Positions are counted from what is padding, as RoBERTa's are: as many numbers as there are tokens."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.words = nn.Embedding(12, 6, padding_idx=PAD)
        self.positions = nn.Embedding(8, 6, padding_idx=PAD)
        self.kinds = nn.Embedding(2, 6)
        self.out = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, ids: Tensor) -> Tensor:
        present = ids.ne(PAD).int()
        positions = torch.cumsum(present, 1) * present + PAD
        kinds = torch.zeros_like(ids)
        held = self.words(ids) + self.positions(positions.long()) + self.kinds(kinds)
        weights = present[..., None] / present.sum(1)[:, None, None]
        return self.out((held * weights).sum(1))


def test_positions_made_of_padding_are_not_the_tokens() -> None:
    model = Padded().eval()
    found = attribute(model, IDS, TARGETS, method="output_sum_gradient").inputs[0]
    words = model.words(IDS).detach().requires_grad_()
    model.words.register_forward_hook(lambda *_: words)
    (gradient,) = torch.autograd.grad(model(IDS).sum(), words)
    torch.testing.assert_close(found, gradient.sum(-1))


def test_paths_over_tokens_with_positions_equal_captum() -> None:
    model = Padded().eval()
    found = attribute(model, IDS, TARGETS, method="integrated_gradients", baselines=PAD, n_steps=64)
    baseline = torch.full_like(IDS, PAD)
    oracle = LayerIntegratedGradients(_WordsOnly(model), model.words)
    expected = oracle.attribute(IDS, baseline, target=torch.tensor(TARGETS), additional_forward_args=(IDS,), n_steps=64)
    torch.testing.assert_close(found.inputs[0], expected.sum(-1).float(), atol=1e-5, rtol=1e-4)


class _WordsOnly(nn.Module):
    """The model with the positions of the tokens, whatever words are looked up: what a path over words alone is."""

    def __init__(self, model: Padded) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, shown: Tensor) -> Tensor:
        present = shown.ne(PAD).int()
        positions = torch.cumsum(present, 1) * present + PAD
        held = self.model.words(ids) + self.model.positions(positions.long()) + self.model.kinds(torch.zeros_like(ids))
        weights = present[..., None] / present.sum(1)[:, None, None]
        return self.model.out((held * weights).sum(1))


class TimeFirst(nn.Module):
    """An LSTM that takes time first: what is transposed is the tokens, or what was looked up for them."""

    def __init__(self, *, tokens: bool) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.tokens = tokens
        self.words, self.lstm, self.out = nn.Embedding(12, 4), nn.LSTM(4, 5), nn.Linear(5, 3)

    def forward(self, ids: Tensor) -> Tensor:
        words = self.words(ids.t()) if self.tokens else self.words(ids).transpose(0, 1)
        return self.out(self.lstm(words)[0][-1])


@pytest.mark.parametrize("method", ["input_x_gradient", "smooth_grad", "integrated_gradients", "deep_lift"])
@pytest.mark.parametrize("ids", [IDS, IDS[:, :3]], ids=["3 of 4 tokens", "3 of 3 tokens"])
def test_tokens_that_the_model_transposes_keep_their_places(method: str, ids: Tensor) -> None:
    found, expected = (
        attribute(TimeFirst(tokens=tokens).eval(), ids, TARGETS, method=method).inputs[0] for tokens in (True, False)
    )
    torch.testing.assert_close(found, expected)
    assert float(expected.abs().max()) > 0.01


class Beside(nn.Module):
    """Takes one number for each sample beside its features."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.out(torch.cat([x, t[:, None]], 1))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("layer_conductance", "grad_cam")])
def test_one_number_for_each_sample_beside_the_others(method: str) -> None:
    model, x, t = Beside(), torch.randn(4, 4), torch.randn(4)
    background = {"baselines": (torch.zeros(2, 4), torch.zeros(2))} if method.endswith("_shap") else {}
    background = background if method in ("gradient_shap", "deep_shap") else {}
    found = attribute(model, (x, t), 1, method=method, **background)
    exact = (
        "gradient_shap",
        "deep_shap",
        "integrated_gradients",
        "deep_lift",
        "occlusion",
        "kernel_shap",
        "shapley_sampling",
    )
    if found.inputs and method in exact:
        torch.testing.assert_close(found.inputs[0], x * model.out.weight[1, :4], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.inputs[1], t * model.out.weight[1, 4], atol=1e-4, rtol=1e-4)


class Lengths(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(12, 3)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        present = torch.arange(ids.shape[1]) < lengths[:, None]
        return (self.words(ids) * present[..., None]).sum(1)


def test_lengths_and_masks_beside_tokens_are_no_tokens() -> None:
    model, lengths = Lengths(), torch.tensor([4, 2, 3])
    for method in ("kernel_shap", "occlusion"):
        found = attribute(model, (IDS, lengths), TARGETS, method=method)
        words = model.words(IDS) - model.words(torch.zeros_like(IDS))
        present = torch.arange(4) < lengths[:, None]
        expected = words[range(3), :, TARGETS].detach() * present
        torch.testing.assert_close(found.inputs[0], expected, atol=1e-4, rtol=1e-4)
        assert bool(found.inputs[1].isnan().all())


class OneHot(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Parameter(torch.randn(12, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, ids: Tensor) -> Tensor:
        return functional.one_hot(ids, 12).float() @ self.words


BAGS: dict[str, Any] = {
    "one_hot": lambda: nn.Sequential(OneHot(), nn.Flatten(1)),
    "EmbeddingBag": lambda: nn.Sequential(nn.EmbeddingBag(12, 3), nn.Tanh()),
}


@pytest.mark.parametrize("bag", BAGS)
@pytest.mark.parametrize("method", ["saliency", "input_x_gradient", "output_sum_gradient"])
def test_integers_that_no_embedding_looks_up_are_told(method: str, bag: str) -> None:
    found = attribute(BAGS[bag](), IDS, 0, method=method)
    assert bool(found.inputs[0].isnan().all())
    assert found.notes == (
        "No gradient reaches the inputs: they are integers, and no embedding looks them up in a way that is seen "
        "(torch.nn.functional.embedding). kernel_shap, lime and occlusion need no gradient.",
    )


@pytest.mark.parametrize("bag", BAGS)
@pytest.mark.parametrize(
    "method",
    [
        "integrated_gradients",
        "layer_conductance",
        "layer_integrated_gradients",
        "gradient_shap",
        "smooth_grad",
        "deep_lift",
        "deep_shap",
    ],
)
def test_a_path_of_integers_that_no_embedding_looks_up_is_refused_with_a_way_out(method: str, bag: str) -> None:
    options = {"baselines": IDS} if method in ("gradient_shap", "deep_shap") else {}
    with pytest.raises(CaptureError, match=r"changed little by little, but they are integers.*Use kernel_shap, lime"):
        attribute(BAGS[bag](), IDS, 0, method=method, **options)
    found = attribute(BAGS[bag](), IDS, 0, method="kernel_shap")
    assert bool(found.inputs[0].isfinite().all())


class ViewThenInPlace(nn.Module):
    def __init__(self, *, inplace: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 3, 3)
        self.flat = nn.Flatten()
        self.act = nn.ReLU(inplace=inplace)
        self.out = nn.Linear(48, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.act(self.flat(self.conv(x))))


class BaseUsedAgain(ViewThenInPlace):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv(x)
        self.act(self.flat(maps))
        return self.out(maps.flatten(1))


@pytest.mark.parametrize("method", ["saliency", "gradient_x_activation", "grad_cam", "layer_conductance"])
def test_a_view_that_is_changed_in_place_keeps_its_gradient(method: str) -> None:
    x = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    plain = attribute(ViewThenInPlace(inplace=False), x, 1, method=method)
    found = attribute(ViewThenInPlace(inplace=True), x, 1, method=method)
    assert list(found.layers) == list(plain.layers)
    for key, expected in plain.layers.items():
        torch.testing.assert_close(found.layers[key], expected)


def test_where_the_memory_of_the_view_is_used_again_nothing_is_parted() -> None:
    x = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    model = BaseUsedAgain(inplace=True)
    found = attribute(model, x, 1, method="saliency")
    held = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(held)[:, 1].sum(), held)
    torch.testing.assert_close(found.inputs[0], gradient.abs())
    assert "flat" not in found.layers
    assert capturing._BOUND[model] == {"flat"}


def test_what_inference_mode_made_is_seen_without_a_gradient() -> None:
    class Frozen(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            with torch.inference_mode():
                return super().forward(x)

    model = nn.Sequential(Frozen(nn.Linear(4, 4), nn.Identity()), nn.Linear(4, 2))
    x = torch.randn(3, 4)
    found = attribute_all(model, x, 0, methods=["activation", "gradient_x_activation"])
    torch.testing.assert_close(found["activation"].layers["0.0"], model[0][0](x).detach())
    assert "1" in found["gradient_x_activation"].layers


def test_probabilities_are_not_made_of_probabilities() -> None:
    torch.manual_seed(0)
    logits, x = nn.Linear(4, 3), torch.randn(5, 4) * 3
    model = nn.Sequential(logits, nn.Softmax(1))
    expected = logits(x).softmax(1)[:, 2]
    torch.testing.assert_close(attribute(model, x, 2, method="saliency").probabilities, expected.detach())
    torch.testing.assert_close(attribute(logits, x, 2, method="saliency").probabilities, expected.detach())


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'grad_cam' stands there 2 times.*grad_cam_1"):
        attribute_all(Beside(), (torch.randn(2, 4), torch.randn(2)), methods=[GradCam(), GradCam(relu=True)])


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "kernel_shap", "deep_lift", "smooth_grad"])
def test_a_tuple_of_labels_is_one_for_each_sample(method: str) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 3), nn.Tanh()), torch.randn(2, 4)
    found, expected = (attribute(model, x, labels, method=method).inputs[0] for labels in ((0, 1), [0, 1]))
    torch.testing.assert_close(found, expected)


def test_padding_earns_a_map_no_trust() -> None:
    torch.manual_seed(0)
    model = Padded().eval()
    ids = torch.full((8, 32), PAD)
    ids[:, :6] = torch.randint(2, 12, (8, 6))
    question = Question(model, ids, None)
    random = torch.zeros(8, 32)
    random[:, :6] = torch.rand(8, 6)
    found = attribute(model, ids, method="saliency")
    scores = _scored(question, found, random)
    all_equal = _scored(question, found, torch.full((8, 32), 0.5))
    # Where padding is no feature, a map that is random on the tokens is as good as another random one.
    assert abs(float((scores["deletion"] - scores["deletion_random"]).mean())) < 0.06
    assert abs(float((scores["insertion"] - scores["insertion_random"]).mean())) < 0.06
    assert float(all_equal["deletion"].mean()) == pytest.approx(float(scores["deletion"].mean()), abs=0.1)


def _scored(question: Question, found: Any, map_: Tensor) -> dict[str, Tensor]:
    return score(question, {}, {"map": replace(found, inputs=[map_], delta=None)})["map"].trust


def test_auto_looks_into_large_parts_and_runs_once() -> None:
    features = nn.Sequential(*[layer for _ in range(7) for layer in (nn.Conv2d(2, 2, 3, padding=1), nn.ReLU())])
    model = nn.Sequential()
    model.add_module("features", features)
    model.add_module("avgpool", nn.AdaptiveAvgPool2d(1))
    model.add_module("classifier", nn.Sequential(nn.Flatten(), nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)))
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    features[0].register_forward_hook(count)
    x = torch.randn(2, 2, 6, 6)
    found = attribute(model, x, 0, method="layer_conductance", layers="auto", internal_batch_size=2, n_steps=4)
    auto = calls
    assert len(found.layers) == 12
    assert {"features.0", "classifier.3"} & set(found.layers) == {"classifier.3"}
    calls = 0
    attribute(model, x, 0, method="layer_conductance", layers="all", internal_batch_size=2, n_steps=4)
    assert auto == calls + 1


def test_replay_keeps_apart_what_is_the_models_own(tmp_path: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    zeros = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    norm = float(torch.linalg.vector_norm(model[0].weight.detach()))
    layerscope.replay(model, {0: zeros, 100: model.state_dict()}, tmp_path, torch.randn(2, 4), parameters=True)
    (run,) = layerscope.read(tmp_path).values()
    series = run.series["parameters"]
    row, column = series.layers.index("0.weight"), series.statistics.index("norm")
    assert series.values[:, row, column].tolist() == pytest.approx([0.0, norm], rel=1e-5)
    assert float(torch.linalg.vector_norm(model[0].weight.detach())) == pytest.approx(norm)


@pytest.mark.parametrize("method", ["lime", "kernel_shap", "shapley_sampling", "occlusion"])
def test_no_number_where_all_tokens_are_missing_is_told_with_the_cure(method: str) -> None:
    model = Padded().eval()  # divides by the number of tokens that are no padding
    if method == "occlusion":  # takes one token away at a time
        ids = IDS.clone()
        ids[1] = torch.tensor([4, PAD, PAD, PAD])
    else:
        ids = IDS
    with pytest.raises(InvalidArgumentError, match=r"must give finite numbers where features are missing.*baselines="):
        attribute(model, ids, TARGETS, method=method, baselines=PAD)
    found = attribute(model, ids, TARGETS, method=method, baselines=5)
    assert bool(found.inputs[0].isfinite().all())
