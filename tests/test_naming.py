from __future__ import annotations

from torch import nn

from layerscope.naming import CallCounter, LayerNames, layer_key


def test_layer_key_marks_the_second_call_and_later_ones() -> None:
    assert [layer_key("conv", call) for call in range(3)] == ["conv", "conv#1", "conv#2"]


def test_names_are_those_of_named_modules_and_the_first_wins() -> None:
    model = nn.Module()
    model.first = model.second = nn.Sequential(nn.Linear(1, 1))
    names = LayerNames(model)
    assert names.qualified(model.second) == "first"
    assert names.qualified(model.second[0]) == "first.0"


def test_model_and_unregistered_modules_go_by_their_class() -> None:
    model, stranger = nn.Sequential(nn.ReLU()), nn.Linear(1, 1)
    names = LayerNames(model)
    assert (names.qualified(model), names.qualified(stranger)) == ("", "")
    assert (names.name(model), names.name(stranger)) == ("<Sequential>", "<Linear>")


def test_calls_are_numbered_by_name() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    counter = CallCounter(LayerNames(model))
    strangers = nn.Linear(1, 1), nn.Linear(1, 1)
    calls = [counter.next(module) for module in (model[0], model[1], model[0], *strangers)]
    assert calls == [
        ("0", 0, "0"),
        ("1", 0, "1"),
        ("0", 1, "0#1"),
        ("<Linear>", 0, "<Linear>"),
        ("<Linear>", 1, "<Linear>#1"),
    ]


def test_no_two_calls_get_the_same_key_whatever_the_modules_are_called() -> None:
    model = nn.Module()
    for name in ("conv", "conv#1", "conv#"):
        model.add_module(name, nn.ReLU())
    conv, numbered, marked = model.children()
    counter = CallCounter(LayerNames(model))
    keys = [counter.next(module).key for module in (conv, conv, numbered, marked, marked)]
    assert keys == ["conv", "conv##1", "conv#1", "conv#", "conv###1"]
