from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from layerscope.probing.calls import copied_arguments, first_float_tensor, input_tensors, watched
from probed_models import Residual

Pair = namedtuple("Pair", ["first", "second"])


@dataclass
class Output:
    loss: None
    logits: Tensor


FLOATS, INTEGERS = torch.ones(2), torch.arange(2)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (FLOATS, FLOATS),
        (INTEGERS, None),
        (FLOATS > 0, None),
        ((INTEGERS, (None, FLOATS)), FLOATS),
        ({"ids": INTEGERS, "states": [FLOATS]}, FLOATS),
        (Pair(INTEGERS, FLOATS), FLOATS),
        (Output(None, FLOATS), FLOATS),
        ("text", None),
        (None, None),
    ],
)
def test_the_first_float_tensor_is_found_in_any_structure(output: Any, expected: Tensor | None) -> None:
    assert first_float_tensor(output) is expected


@pytest.mark.parametrize("fails", [False, True])
def test_a_watch_alone_leaves_no_hooks(fails: bool) -> None:
    model = nn.Sequential(Residual(1, 2), nn.Flatten())
    seen: list[str] = []

    def on_output(key: str, module: nn.Module, output: Any) -> None:
        seen.append(key)
        if fails and len(seen) == 3:
            raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError), watched(model, on_output):
            model(torch.ones(2, 1, 4, 4))
    else:
        with watched(model, on_output) as keys:
            model(torch.ones(2, 1, 4, 4))
        assert keys[:3] == ["0", "0.conv1", "0.bn1"]  # a module stands before what it encloses
    assert seen[:3] == ["0.conv1", "0.bn1", "0.relu"]  # and ends after it
    assert all(not module._forward_hooks for module in model.modules())
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks
    seen.clear()
    model(torch.ones(2, 1, 4, 4))
    assert seen == []


@pytest.mark.parametrize("kind", ["tensor", "tuple", "dict", "nested"])
def test_arguments_are_copies(kind: str) -> None:
    x, ids = torch.ones(2, requires_grad=True) * 2, torch.arange(3)
    inputs: Any = {"tensor": x, "tuple": (x, ids), "dict": {"x": x, "ids": ids}, "nested": (5, {"a": [x, ids]})}[kind]
    arguments = copied_arguments(inputs)
    copies = [*input_tensors(arguments.args), *input_tensors(arguments.kwargs)]
    originals = input_tensors(inputs)
    assert len(originals) == len(copies) == (1 if kind == "tensor" else 2)
    assert (list(arguments.kwargs) == ["x", "ids"]) == (kind == "dict")
    for copy, original in zip(copies, originals, strict=True):
        assert torch.equal(copy, original)
        assert copy.data_ptr() != original.data_ptr()
        assert not copy.requires_grad
