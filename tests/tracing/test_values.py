from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import torch

from layerscope.tracing.values import replaced, tensors

Pair = namedtuple("Pair", ["left", "right"])


@dataclass(frozen=True)
class Record:
    tensor: Any
    number: int


A, B, C = torch.tensor(1), torch.tensor(2), torch.tensor(3)


def test_tensors_are_found_with_their_paths() -> None:
    value = [A, {"key": (B, 5)}, Pair(C, "text"), Record(A, 1), None]
    assert [(path, id(tensor)) for path, tensor in tensors(value)] == [
        ("0", id(A)),
        ("1.key.0", id(B)),
        ("2.0", id(C)),
        ("3.tensor", id(A)),
    ]
    assert [*tensors(A)] == [("", A)]
    assert [*tensors(A, "x")] == [("x", A)]


def test_a_generator_is_not_consumed() -> None:
    numbers = (number for number in (1, 2))
    assert [*tensors([numbers])] == []
    assert [*numbers] == [1, 2]


def test_replaced_keeps_types_and_what_holds_no_tensor() -> None:
    untouched = {"list": [1, 2]}
    value = OrderedDict(pair=Pair(A, untouched), items=[B], record=Record(C, 7))
    new = replaced(value, lambda tensor: tensor + 10)
    assert type(new) is OrderedDict
    assert (int(new["pair"].left), int(new["items"][0]), int(new["record"].tensor)) == (11, 12, 13)
    assert type(new["pair"]) is Pair
    assert new["pair"].right is untouched
    assert new["record"].number == 7
    assert value["pair"].left is A
    assert value["items"] == [B]


def test_replaced_afresh_copies_what_could_be_changed() -> None:
    value = {"a": [A, ([B], {1, 2})], "b": []}
    new = replaced(value, lambda tensor: tensor, fresh=True)
    assert new == value
    assert new["a"][0] is A
    for one, other in [(new, value), (new["a"], value["a"]), (new["b"], value["b"])]:
        assert one is not other
    assert new["a"][1][0] is not value["a"][1][0]
    assert new["a"][1][1] is not value["a"][1][1]


def test_replaced_returns_the_same_object_if_no_tensor_changes() -> None:
    value = {"a": [A, (B,)]}
    assert replaced(value, lambda tensor: tensor) is value
    assert replaced(untouched := [1, "x"], lambda tensor: tensor + 1) is untouched


def test_named_results_of_torch_keep_their_type() -> None:
    result = torch.tensor([3, 1]).max(0)
    new = replaced(result, lambda tensor: tensor + 1)
    assert type(new) is type(result)
    assert (int(new.values), int(new.indices)) == (4, 1)
