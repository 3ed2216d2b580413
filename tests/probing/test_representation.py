"""Where gradients and paths take hold: float inputs themselves, and what is looked up for integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from layerscope.errors import InvalidArgumentError
from layerscope.probing.representation import Embed, Representation, batch_size

IDS = torch.tensor([[1, 2, 0], [3, 3, 1]])
WEIGHT = torch.arange(20.0).reshape(5, 4)


def looked_up_by_a_module(ids: Tensor) -> Tensor:
    return nn.Embedding.from_pretrained(WEIGHT)(ids)


def looked_up_by_a_function(ids: Tensor) -> Tensor:
    return functional.embedding(ids, WEIGHT)


def looked_up_flat(ids: Tensor) -> Tensor:
    return functional.embedding(ids.long().contiguous().view(-1), WEIGHT).view(*ids.shape, -1)


LOOK_UPS = [looked_up_by_a_module, looked_up_by_a_function, looked_up_flat]


def test_floats_are_copies_that_depend_on_one_leaf_each() -> None:
    x, y = torch.ones(2, requires_grad=True) * 2, torch.ones(3)
    with Representation({"x": x, "y": y}) as held:
        copies = [held.arguments.kwargs["x"].mul_(3), held.arguments.kwargs["y"]]  # in place, which a leaf forbids
    assert torch.equal(x, torch.full((2,), 2.0))
    assert [len(leaves) for leaves in held.leaves] == [1, 1]
    found = torch.autograd.grad(copies[0].sum() + copies[1].sum(), [held.leaves[0][0], held.leaves[1][0]])
    assert [gradient.tolist() for gradient in found] == [[3, 3], [1, 1, 1]]


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_what_is_looked_up_stands_for_integers(look_up: Any) -> None:
    with Representation((IDS, torch.ones(2))) as held:
        looked = look_up(held.arguments.args[0])
    assert torch.equal(looked, WEIGHT[IDS])
    (leaf,) = held.leaves[0]
    assert torch.equal(leaf.reshape(looked.shape), looked)
    (gradient,) = torch.autograd.grad(looked.square().sum(), leaf)
    assert torch.equal(gradient.reshape(looked.shape), 2 * looked)


def test_each_look_up_of_an_input_is_held_and_those_of_others_are_not() -> None:
    positions = torch.arange(3)
    with Representation(IDS) as held:
        (ids,) = held.arguments.args
        functional.embedding(positions, WEIGHT)
        functional.embedding(ids, WEIGHT)
        functional.embedding(ids + 1, WEIGHT)  # another number, but still of this input
    assert [leaf.tolist() for leaf in held.leaves[0]] == [WEIGHT[IDS].tolist(), WEIGHT[IDS + 1].tolist()]


def positions_of_the_shape(ids: Tensor) -> Tensor:
    return torch.arange(ids.shape[1]).expand_as(ids)


def positions_of_the_dtype(ids: Tensor) -> Tensor:
    return torch.cumsum(ids.ne(0), 1).type_as(ids).to(ids)


def kinds(ids: Tensor) -> Tensor:
    return torch.where(ids > 1, torch.ones_like(ids), 0)


@pytest.mark.parametrize("other", [positions_of_the_shape, positions_of_the_dtype, kinds])
def test_what_is_only_made_beside_integers_of_their_shape_is_no_input(other: Callable[[Tensor], Tensor]) -> None:
    with Representation(IDS) as held:
        (ids,) = held.arguments.args
        functional.embedding(ids, WEIGHT)
        functional.embedding(other(ids), WEIGHT)
    assert [leaf.tolist() for leaf in held.leaves[0]] == [WEIGHT[IDS].tolist()]


@pytest.mark.parametrize(
    "kept",
    [
        lambda ids: ids.masked_fill(ids == 0, 4),
        lambda ids: torch.where(ids == 0, 4, ids),
        lambda ids: (ids.int().long() * 3 + 1) % 5,
        lambda ids: torch.arange(3) + ids.clamp(max=2),
    ],
)
def test_integers_that_are_offset_hashed_or_replaced_are_still_of_the_input(kept: Callable[[Tensor], Tensor]) -> None:
    with Representation(IDS) as held:
        functional.embedding(kept(held.arguments.args[0]), WEIGHT)
    assert [leaf.tolist() for leaf in held.leaves[0]] == [WEIGHT[kept(IDS)].tolist()]


MOVES = [
    lambda ids: ids.t(),
    lambda ids: ids.T.contiguous().view(-1),
    lambda ids: ids.flip(1),
    lambda ids: ids[:, [2, 0, 1]].permute(1, 0),
    lambda ids: torch.roll(ids, 1, 1),
]


@pytest.mark.parametrize("moved", MOVES)
def test_where_integers_are_moved_what_stands_for_them_stays_in_their_order(
    moved: Callable[[Tensor], Tensor],
) -> None:
    weights = torch.arange(24.0).reshape(2, 3, 4)
    with Representation(IDS) as held:
        looked = functional.embedding(moved(held.arguments.args[0]), WEIGHT)
    assert torch.equal(looked, WEIGHT[moved(IDS)])
    (leaf,) = held.leaves[0]
    assert torch.equal(leaf, WEIGHT[IDS])
    # A number's weight goes with it: each element of the input gets its own, however it was moved.
    there = weights.reshape(6, 4)[moved(torch.arange(6).reshape(2, 3))]
    (gradient,) = torch.autograd.grad((looked * there).sum(), leaf)
    assert torch.equal(gradient, weights)


@pytest.mark.parametrize("moved", MOVES)
def test_a_move_of_moved_integers_sees_others_in_the_order_of_the_input(moved: Callable[[Tensor], Tensor]) -> None:
    others = torch.tensor([[4, 3, 2], [1, 0, 4]])
    seen: list[Tensor] = []

    def instead(place: int, value: Tensor, embed: Embed) -> Tensor:
        seen.extend([value, embed(torch.tensor(2))])
        return embed(others)

    with Representation(IDS, move=instead, differentiable=False) as held:
        looked = functional.embedding(moved(held.arguments.args[0]), WEIGHT)
    assert torch.equal(looked, WEIGHT[moved(others)])
    assert torch.equal(seen[0], WEIGHT[IDS])
    assert torch.equal(seen[1], WEIGHT[2].expand(2, 3, 4))


def test_elements_that_are_taken_twice_are_not_moved_ones() -> None:
    with Representation(IDS) as held:
        looked = functional.embedding(held.arguments.args[0][:, [0, 0, 1]], WEIGHT)
    assert held.leaves == [[]]
    assert torch.equal(looked, WEIGHT[IDS[:, [0, 0, 1]]])


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_a_move_sees_what_other_numbers_would_give(look_up: Any) -> None:
    def halfway(place: int, value: Tensor, embed: Embed) -> Tensor:
        other = embed(torch.tensor(4)) if place == 0 else embed(torch.zeros(3))
        return (value + other) / 2

    with Representation((IDS, torch.ones(2, 3)), move=halfway, differentiable=False) as held:
        looked, floats = look_up(held.arguments.args[0]), held.arguments.args[1]
    assert torch.equal(looked, (WEIGHT[IDS] + WEIGHT[4]) / 2)
    assert torch.equal(floats, torch.full((2, 3), 0.5))
    assert not looked.requires_grad


def test_the_batch_is_repeated_sample_by_sample() -> None:
    x, mask = torch.arange(6.0).reshape(3, 2), torch.ones(5, 5)
    with Representation((x.T, mask), times=2, batch_dim=1) as held:
        first, second = held.arguments.args
    assert first.tolist() == [[0, 2, 4, 0, 2, 4], [1, 3, 5, 1, 3, 5]]
    assert second.shape == (5, 5)  # its second dimension is not of the size of the batch
    with Representation(IDS, times=2) as held:
        assert torch.equal(looked_up_flat(held.arguments.args[0]), WEIGHT[torch.cat([IDS, IDS])])


def test_nothing_stays_active() -> None:
    with pytest.raises(ZeroDivisionError), Representation(IDS) as held:
        raise ZeroDivisionError
    functional.embedding(held.arguments.args[0], WEIGHT)
    assert held.leaves == [[]]


def test_the_size_of_the_batch() -> None:
    assert batch_size((3, torch.ones(()), torch.ones(4, 2))) == 4
    assert batch_size({"a": torch.ones(4), "b": torch.ones(4, 2)}, batch_dim=1) == 2
    with pytest.raises(InvalidArgumentError, match=r"along dimension 1 \(batch_dim\), but they hold \[\[4\]\]"):
        batch_size(torch.ones(4), batch_dim=1)
