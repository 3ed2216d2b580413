"""What people need to read the inputs of a probe set."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from layerscope.errors import InvalidArgumentError
from layerscope.probing.describing import describe_inputs
from layerscope.wire import ProbeInput, SamplesBlob

IDS = torch.tensor([[1, 2, 0], [3, 0, 0]])


class Tokenizer:
    pad_token_id = 0

    def convert_ids_to_tokens(self, number: int) -> str:
        return ["[PAD]", "a", "b", "c"][number]


class Decoding:
    def decode(self, numbers: list[int]) -> str:
        return "pabc"[numbers[0]]


@pytest.mark.parametrize(
    ("inputs", "modalities"),
    [
        (torch.ones(2, 3, 8, 8), ["image"]),
        (torch.ones(2, 5, 8, 8), ["tensor"]),
        (torch.ones(2, 7), ["table"]),
        (torch.ones(2, 7, 3), ["time_series"]),
        (IDS, ["tensor"]),
        ({"x": torch.ones(2, 7), "mask": IDS}, ["table", "tensor"]),
        ((torch.ones(2), 3, torch.ones(2, 1, 4, 4)), ["tensor", "image"]),
    ],
)
def test_the_modality_is_inferred_from_the_form(inputs: Any, modalities: list[str]) -> None:
    assert [one.modality for one in describe_inputs(inputs).inputs] == modalities


def test_inputs_are_named_after_their_argument() -> None:
    found = describe_inputs({"x": torch.ones(2, 7), "more": [IDS, IDS], "flag": True}).inputs
    assert [one.name for one in found] == ["x", "more[0]", "more[1]"]
    assert [one.name for one in describe_inputs((3, IDS)).inputs] == ["1"]


@pytest.mark.parametrize(
    "tokens",
    [
        Tokenizer(),
        [["a", "b"], ["c"]],
    ],
)
def test_padding_has_no_token(tokens: Any) -> None:
    found = describe_inputs({"ids": IDS, "mask": IDS}, tokens=tokens)
    assert found.inputs[0] == ProbeInput("ids", "text", (), (("a", "b", ""), ("c", "", "")))
    assert found.inputs[1].modality == "tensor"


@pytest.mark.parametrize("tokens", [Decoding(), "pabc".__getitem__, list("pabc"), {0: "p", 1: "a", 2: "b", 3: "c"}])
def test_tokens_come_from_whatever_spells_numbers(tokens: Any) -> None:
    assert describe_inputs(IDS, tokens=tokens).inputs[0].tokens == (("a", "b", "p"), ("c", "p", "p"))
    assert describe_inputs(torch.tensor([[9]]), tokens=["p"]).inputs[0].tokens == (("#9",),)


def test_names_of_features_and_classes() -> None:
    found = describe_inputs(torch.ones(4, 2), feature_names=["age", "size"], class_names=["no", "yes"])
    assert found == SamplesBlob((ProbeInput("0", "table", ("age", "size")),), ("no", "yes"))
    assert describe_inputs(torch.ones(5, 4, 2), feature_names=["a", "b"], batch_dim=1).inputs[0].feature_names == (
        "a",
        "b",
    )


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (torch.ones(2, 3), {"modality": "smell"}, "modality 'smell' was given, but there are image, text, table"),
        (torch.ones(2, 3), {"feature_names": ["a"]}, r"feature_names must be 3 strings.*input \[2, 3\]"),
        (torch.ones(2, 3), {"tokens": Tokenizer()}, r"tokens were given, but no input can use them: \['table'\]"),
        (IDS, {"feature_names": ["a", "b", "c"]}, "feature_names were given, but no input can use them"),
        (IDS, {"tokens": [["a"]]}, r"at most 3 strings for each of the 2 samples, but they are lists of \[1\]"),
        (IDS, {"tokens": 3}, "tokens must be a tokenizer.*but they are 3"),
    ],
)
def test_what_does_not_fit_is_told(inputs: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        describe_inputs(inputs, **options)
