"""Tokens that units respond to, on models small enough that the best ones can be told by looking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.maximizing import Maximization, maximize
from layerscope.probing.maximizing.token_ascent import nearest

ROWS, WIDTH, PADDING = 30, 8, 0


class Bag(nn.Module):
    """A bag of words: a linear layer over the mean of embeddings, padding left out; the logits in a dict."""

    def __init__(self, padding: int | None = PADDING) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(ROWS, WIDTH, padding_idx=padding)
        self.fc = nn.Linear(WIDTH, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> dict[str, Tensor]:
        words = self.words(input_ids)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mean = (words * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return {"ids": input_ids, "logits": self.fc(mean)}

    def best(self, unit: int, *, largest: bool = True) -> int:
        """Return the token that is best at every position, padding not among them."""
        scores = (self.words.weight @ self.fc.weight[unit]).tolist()
        return (max if largest else min)(range(1, ROWS), key=lambda token: scores[token])


class Placed(nn.Module):
    """A weight of its own for each position, so each has its own best token."""

    def __init__(self, length: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.words = nn.Embedding(ROWS, WIDTH)
        self.weight = nn.Parameter(torch.randn(length, WIDTH))
        self.sum = nn.Flatten()

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.sum((self.words(input_ids) * self.weight).sum((1, 2))[:, None])


IDS = torch.tensor([[5, 9, 3, 7], [2, 2, 0, 0]])


def found(model: nn.Module, inputs: Any = None, **options: Any) -> Maximization:
    settled = {"layer": "fc", "channels": "all", "steps": 60}
    return maximize(model, inputs={"input_ids": IDS} if inputs is None else inputs, **(settled | options))


def test_the_best_tokens_of_a_linear_unit_are_found() -> None:
    model = Bag()
    unit = found(model)
    assert unit.tokens is not None
    assert unit.tokens.dtype == np.int64
    assert unit.tokens.tolist() == [[model.best(channel)] * 4 for channel in range(3)]
    for channel in range(3):
        with torch.no_grad():
            logits = model(torch.full((1, 4), model.best(channel)))["logits"]
        assert unit.reached[channel] == pytest.approx(logits[0, channel].item(), rel=1e-5)
    assert (unit.modality, unit.images.shape, unit.channels) == ("text", (3, 0), (0, 1, 2))
    assert (unit.objective.max(1) == unit.reached).all()


def test_each_position_has_its_own_best_token() -> None:
    model = Placed(4)
    expected = (model.words.weight @ model.weight.T).argmax(0).tolist()
    assert len(set(expected)) == 4
    unit = found(model, layer="sum")
    assert unit.tokens is not None
    assert unit.tokens.tolist() == [expected]


@pytest.mark.parametrize("padding", [PADDING, PADDING - ROWS])
def test_padding_stays_where_it_is_and_comes_nowhere_else(padding: int) -> None:
    model = Bag(padding)
    with torch.no_grad():  # padding would be best of all, were it a word
        model.words.weight[PADDING] = 10 * model.fc.weight[0]
    sample = torch.tensor([[4, 0, 8, 0, 0]])
    unit = found(model, {"input_ids": sample}, channels=[0])
    assert unit.tokens is not None
    assert unit.tokens.tolist() == [[model.best(0), 0, model.best(0), 0, 0]]


def test_without_padding_every_row_is_a_word() -> None:
    model = Bag(None)
    with torch.no_grad():
        model.words.weight[0] = 10 * model.fc.weight[0]
    unit = found(model, {"input_ids": torch.tensor([[0, 4]])}, channels=[0])
    assert unit.tokens is not None
    assert unit.tokens.tolist() == [[0, 0]]


def test_what_else_the_model_is_given_is_that_of_the_first_sample() -> None:
    """Of other masks other means: a position that does not count has no gradient, so its token is the one drawn."""
    model = Bag(None)
    mask = torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0]])
    seen: list[Tensor] = []
    model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["attention_mask"].clone()), with_kwargs=True
    )
    unit = found(model, {"attention_mask": mask, "input_ids": IDS}, channels=[1, 2], steps=200)
    assert all(torch.equal(given, mask[:1].expand(len(given), 4)) for given in seen)
    assert {len(given) for given in seen} == {1, 2}
    assert unit.tokens is not None
    for row, channel in zip(unit.tokens, (1, 2), strict=True):
        counted = max(range(ROWS), key=lambda token: (model.words.weight @ model.fc.weight[channel])[token].item())
        assert row[[0, 2, 3]].tolist() == [counted] * 3


def test_positional_arguments_and_other_layers() -> None:
    model = Bag()
    by_position = found(model, (IDS, torch.ones_like(IDS)), channels=[2])
    assert np.array_equal(by_position.tokens, found(model, channels=[2]).tokens)
    assert np.array_equal(found(model, layer="", channels=[2]).tokens, by_position.tokens)  # of a dict the logits
    words = found(model, layer="words", channels=[3])
    assert words.tokens is not None
    assert words.tokens.tolist() == [[int(model.words.weight[1:, 3].argmax()) + 1] * 4]


def test_a_model_that_changes_embeddings_in_place() -> None:
    class Shifted(Bag):
        def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> dict[str, Tensor]:
            words = self.words(input_ids)
            words += 1
            return {"logits": self.fc(words.mean(1))}

    shifted, plain = found(Shifted()), found(Bag())
    assert np.array_equal(shifted.tokens, plain.tokens)
    np.testing.assert_allclose(shifted.reached - plain.reached, Bag().fc.weight.sum(1).detach(), rtol=1e-4)


def test_other_objectives() -> None:
    model = Bag()
    down = found(model, objective="direction", directions=torch.tensor([[0.0, 0.0, -2.0]]))
    assert down.tokens is not None
    assert down.tokens.tolist() == [[model.best(2, largest=False)] * 4]
    third = found(model, layer="words", objective="neuron", channels=[5], position=(2,))
    assert third.tokens is not None
    assert third.tokens[0, 2] == int(model.words.weight[1:, 5].argmax()) + 1


def test_the_same_seed_gives_the_same_whatever_the_others_are() -> None:
    model = Bag()
    both = found(model, channels=[0, 2], steps=4)
    torch.manual_seed(5)
    alone = found(model, channels=[2], steps=4)
    assert both.tokens is not None
    assert alone.tokens is not None
    assert alone.tokens.tolist() == both.tokens[1:].tolist()
    np.testing.assert_allclose(alone.objective[0], both.objective[1], rtol=1e-5)
    another = found(model, channels=[2, 2], seed=1, steps=1)
    assert another.tokens is not None
    assert len({tuple(tokens) for tokens in (*alone.tokens.tolist(), *another.tokens.tolist())}) == 3


def test_tokens_go_on_from_those_found_before() -> None:
    model = Bag()
    before = found(model, channels=[1, 0], steps=6, learning_rate=0.05)
    after = found(model, channels=[0, 1, 2], steps=3, start=before)
    np.testing.assert_allclose(after.objective[[1, 0], 0], before.reached, rtol=1e-5)
    fresh = found(model, channels=[2], steps=1)
    assert after.objective[2, 0] == pytest.approx(fresh.objective[0, 0], rel=1e-5)
    longer = {"input_ids": torch.tensor([[1, 2, 3, 4, 5]])}  # of another length it does not count
    assert np.array_equal(found(model, longer, start=before).objective, found(model, longer).objective)


def test_without_time_one_step_is_taken() -> None:
    unit = found(Bag(), seconds=0.0)
    assert unit.objective.shape == (3, 1)
    assert (unit.objective[:, 0] == unit.reached).all()


def test_nearest_is_that_of_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    points, table = torch.randn(3, 4, 5, generator=generator), torch.randn(9, 5, generator=generator)
    for without in (None, 2):
        rows = nearest(points, table, without=without)
        for place in np.ndindex(3, 4):
            distances = [(points[place] - row).norm().item() for row in table]
            if without is not None:
                distances[without] = np.inf
            assert rows[place] == int(np.argmin(distances))


def test_models_that_look_nothing_up_are_told_so() -> None:
    class Hot(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(ROWS, 2)

        def forward(self, input_ids: Tensor) -> Tensor:
            return self.fc(functional.one_hot(input_ids, ROWS).float())

    class Deaf(Bag):
        def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
            with torch.no_grad():
                return super().forward(input_ids)

    with pytest.raises(CaptureError, match=r"looks none of the integers in inputs up in an embedding"):
        found(Hot())
    with pytest.raises(CaptureError, match=r"layer 'fc' .* does not depend on the embeddings of the tokens"):
        found(Deaf())
    with pytest.raises(InvalidArgumentError, match=r"must hold integers \[samples, length\], .*torch.float32 \[2, 4\]"):
        found(Bag(), IDS.float())
    with pytest.raises(InvalidArgumentError, match="go from 0 to 2"):
        found(Bag(), channels=[3])


def test_options_that_say_nothing_of_tokens_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"and parameterization, diversity, which say nothing of tokens"):
        found(Bag(), parameterization="fourier", diversity=0.5)


def test_a_diverged_model_is_named_as_such() -> None:
    model = Bag()
    with torch.no_grad():
        model.fc.weight.fill_(torch.nan)
    with pytest.raises(CaptureError, match="it gave infinities or NaN"):
        found(model)
