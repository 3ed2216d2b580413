"""What a node tells of its module: sizes, FLOPs, settings, ties and where its class is defined."""

from __future__ import annotations

import inspect
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import traced_models
from layerscope.tracing import trace
from layerscope.tracing.module_facts import source
from traced_models import ResidualNet


class Documented(nn.Module):
    """Halves what it gets.

    And says more.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2

    def extra_repr(self) -> str:
        return "by=2"


class Undocumented(Documented):
    def extra_repr(self) -> str:
        raise RuntimeError


def test_settings_and_docstring_are_the_modules_own() -> None:
    nodes = trace(nn.Sequential(nn.Conv2d(3, 4, 2), Documented(), Undocumented()), torch.randn(1, 3, 4, 4)).nodes
    linear = trace(nn.Sequential(nn.Linear(2, 2)), torch.randn(1, 2)).nodes["0"]
    assert linear.doc == "Applies an affine linear transformation to the incoming data: y = xA^T + b."
    lstm = trace(nn.Sequential(nn.LSTM(2, 2)), torch.randn(3, 1, 2)).nodes["0"]  # its docstring begins with a signature
    assert lstm.doc == "Apply a multi-layer long short-term memory (LSTM) RNN to an input sequence."
    assert nodes["0"].extra_repr == "3, 4, kernel_size=(2, 2), stride=(1, 1)"
    assert (nodes["1"].extra_repr, nodes["1"].doc) == ("by=2", "Halves what it gets.")
    assert (nodes["2"].extra_repr, nodes["2"].doc) == ("", "")


def test_source_is_file_and_line_of_the_class_without_the_place_it_is_installed_in() -> None:
    assert source(nn.Linear) == f"torch/nn/modules/linear.py:{inspect.getsourcelines(nn.Linear)[1]}"
    assert source(ResidualNet) == f"traced_models.py:{inspect.getsourcelines(ResidualNet)[1]}"
    assert Path(inspect.getfile(ResidualNet)).name == Path(traced_models.__file__).name
    assert source(Undocumented).endswith(f"test_module_facts.py:{inspect.getsourcelines(Undocumented)[1]}")
    assert source(type("Made", (nn.Module,), {"__module__": "nowhere"})) == ""


def test_bytes_and_trainable_parameters() -> None:
    model = nn.Sequential(nn.Linear(3, 4).double(), nn.Sequential(nn.Linear(4, 2)))
    model[0].bias.requires_grad_(False)
    model[1].to(torch.float64)
    nodes = trace(model, torch.randn(5, 3, dtype=torch.float64)).nodes
    linear, outer = nodes["0"], nodes["1"]
    assert (linear.own_parameters, linear.own_bytes, linear.trainable_parameters) == (16, 128, 12)
    assert (outer.own_bytes, outer.total_bytes, outer.trainable_parameters) == (0, 80, 10)
    assert (linear.activation_bytes, outer.activation_bytes) == (5 * 4 * 8, 5 * 2 * 8)


def test_tied_weights_name_each_other() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(7, 3)
            self.head = nn.Linear(3, 7, bias=False)
            self.head.weight = self.embed.weight
            self.same = self.head  # another name of the same module is no tie

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.embed(x))

    nodes = trace(Tied(), torch.zeros(1, 2, dtype=torch.int64)).nodes
    assert nodes["embed"].tied == ("head.weight",)
    assert nodes["head"].tied == ("embed.weight",)


def test_flops_are_those_of_the_flop_counter() -> None:
    model = ResidualNet().eval()
    x = torch.randn(2, 3, 8, 8)
    with FlopCounterMode(display=False) as counter:
        model(x)
    expected = {
        name.partition(".")[2]: sum(counts.values())
        for name, counts in counter.get_flop_counts().items()
        if "." in name
    }
    nodes = trace(model, x).nodes
    counted = {node.id: node.flops for node in nodes.values() if node.flops is not None}
    assert counted == {name: flops for name, flops in expected.items() if flops}
    assert nodes["layers.0.bn1"].flops is None
    assert nodes["layers.0"].flops == 2 * 2 * (4 * 4 * 9) * 36 * 2  # two convolutions, batch of two, 6x6 pixels


def test_attention_is_counted_and_a_recurrent_layer_is_not() -> None:
    attention = trace(nn.MultiheadAttention(8, 2, batch_first=True), *[torch.randn(1, 5, 8)] * 3, need_weights=False)
    projections, products = 4 * 2 * 5 * 8 * 8, 2 * 2 * 5 * 5 * 8
    assert attention.nodes["<MultiheadAttention>"].flops == projections + products

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.ModuleDict({"lstm": nn.LSTM(4, 4), "fc": nn.Linear(4, 4)})
            self.outer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.outer(self.inner["fc"](self.inner["lstm"](x)[0]))

    model = nn.Sequential(Recurrent())
    nodes = trace(model, torch.randn(3, 1, 4)).nodes
    flops = {name: nodes[name].flops for name in ("0", "0.inner.lstm", "0.inner.fc", "0.outer")}
    assert flops == {"0": None, "0.inner.lstm": None, "0.inner.fc": 2 * 3 * 16, "0.outer": 2 * 3 * 16}
