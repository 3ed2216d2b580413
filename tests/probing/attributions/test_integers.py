"""Inputs of integers: positions made of padding, tokens that are moved, masks and lengths beside them, one-hot ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor, nn
from torch.nn import functional

from layerscope.errors import CaptureError
from layerscope.probing.attributions import attribute
from layerscope.probing.attributions.features import padding_of
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


class Lengths(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(12, 3)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        present = torch.arange(ids.shape[1]) < lengths[:, None] if lengths.ndim == 1 else lengths > 0
        return (self.words(ids) * present[..., None]).sum(1) / present.sum(1, keepdim=True)


class Categories(nn.Module):
    """Adds what is looked up for a category of each sample to its words."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.kinds = nn.Embedding(12, 3), nn.Embedding(2, 3)

    def forward(self, ids: Tensor, kind: Tensor) -> Tensor:
        return self.words(ids).sum(1) + self.kinds(kind)


@pytest.mark.parametrize("method", ["kernel_shap", "occlusion", "shapley_sampling"])
@pytest.mark.parametrize("beside", ["lengths", "mask"])
def test_lengths_and_masks_beside_tokens_are_no_tokens(method: str, beside: str) -> None:
    model, lengths = Lengths(), torch.tensor([4, 2, 3])
    present = torch.arange(4) < lengths[:, None]
    other = lengths if beside == "lengths" else present.long()
    found = attribute(model, (IDS, other), TARGETS, method=method)
    words = (model.words(IDS) - model.words(torch.zeros_like(IDS)))[range(3), :, TARGETS].detach()
    torch.testing.assert_close(found.inputs[0], words * present / lengths[:, None], atol=1e-4, rtol=1e-4)
    assert bool(found.inputs[1].isnan().all())


@pytest.mark.parametrize("method", ["kernel_shap", "occlusion", "shapley_sampling"])
def test_what_an_embedding_looks_up_is_tokens_though_it_be_zeros_and_ones(method: str) -> None:
    model, kind = Categories(), torch.tensor([1, 0, 1])
    words, kinds = attribute(model, (IDS, kind), 1, method=method).inputs
    expected = (model.words(IDS) - model.words(torch.zeros_like(IDS)))[..., 1].detach()
    torch.testing.assert_close(words, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        kinds, kind * (model.kinds.weight[1, 1] - model.kinds.weight[0, 1]).detach(), atol=1e-4, rtol=1e-4
    )


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


def test_padding_is_what_the_mask_hides_or_else_the_padding_of_the_one_embedding_that_has_some() -> None:
    model = Padded().eval()
    assert padding_of(Question(model, IDS, None))[0].tolist() == (IDS == PAD).tolist()
    mask = torch.tensor([[1, 1, 1, 0]] * 3)
    inputs = {"input_ids": IDS, "attention_mask": mask, "token_type_ids": torch.ones_like(IDS)}
    ids, of_mask, kinds = padding_of(Question(model, inputs, None))
    assert of_mask is None
    assert ids.tolist() == kinds.tolist() == (mask == 0).tolist()
    del inputs["attention_mask"]
    ids, kinds = padding_of(Question(model, inputs, None))
    assert ids.tolist() == (IDS == PAD).tolist()
    assert kinds is None  # kind 1 is no padding, though it is the same number


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


@pytest.mark.parametrize("method", ["lime", "kernel_shap", "shapley_sampling", "occlusion"])
def test_where_no_number_is_given_without_any_token_the_others_tell_and_a_note_names_the_cure(method: str) -> None:
    model = Padded().eval()  # divides by the number of tokens that are no padding
    if method == "occlusion":  # takes one token away at a time
        ids = IDS.clone()
        ids[1] = torch.tensor([4, PAD, PAD, PAD])
    else:
        ids = IDS
    found = attribute(model, ids, TARGETS, method=method, baselines=PAD)
    assert found.notes[0].startswith("The model gave no finite number for")
    assert "baselines=the integer of a token that is no padding" in found.notes[0]
    found = attribute(model, ids, TARGETS, method=method, baselines=5)
    assert bool(found.inputs[0].isfinite().all())
