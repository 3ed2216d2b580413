"""Traces the models that the structure page of the gallery shows.

Writes ``structure.cases.jsonl`` beside itself, one ``[name, graph]`` a line. Run from the root:
``python frontend/gallery/structure.cases.py``. The names in the last case are hostile on purpose.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

import layerscope
from layerscope import codec


class Residual(nn.Module):
    """Two convolutions beside a shortcut; ``relu`` is one module called twice."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResidualNet(nn.Module):
    """A small residual network for 8 x 8 digits with a frozen stem."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stage1 = nn.Sequential(Residual(16, 16), Residual(16, 16))
        self.stage2 = nn.Sequential(Residual(16, 32), Residual(32, 32))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(32, 10)
        self.stem.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.pool(self.stage2(self.stage1(self.stem(image)))).flatten(1))


class Wide(nn.Module):
    """One stem feeds twelve branches; every branch is concatenated and two heads look at the result."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 8, 1 + 2 * (i % 3), padding=i % 3), nn.ReLU()) for i in range(12)
        )
        self.coarse = nn.Linear(96, 10)
        self.fine = nn.Linear(96, 100)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.stem(image)
        joined = torch.cat([branch(features) for branch in self.branches], 1).mean((2, 3))
        return self.coarse(joined), self.fine(joined)


class Encoder(nn.Module):
    """Twelve blocks of self-attention with one padding mask for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 64)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 12, enable_nested_tensor=False
        )
        self.head = nn.Linear(64, 2)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(tokens), src_key_padding_mask=mask).mean(1))


class AVeryLongClassNameThatSomebodyGeneratedFromAConfigurationFile(nn.Linear):
    """A linear layer."""


class Hostile(nn.Module):
    """Names that are long, markup, emoji, right to left or full of control characters."""

    def __init__(self) -> None:
        super().__init__()
        names = [
            "<img src=x onerror=alert(1)>",
            "a_name_that_goes_on_and_on_and_never_says_what_the_layer_is_for_version_two_final",
            'quote" back\\slash & {record|shape}',
            "emoji 🔬🧪 und Umlaute äöü",
            "שכבה",
            "tab\tnewline\nnull\x00bell\x07",
        ]
        self.layers = nn.Sequential()
        for name in names:
            self.layers.add_module(name, AVeryLongClassNameThatSomebodyGeneratedFromAConfigurationFile(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokens, mask = torch.randint(0, 1000, (2, 16)), torch.zeros(2, 16, dtype=torch.bool)
    graphs = {
        "cnn": layerscope.trace(ResidualNet(), torch.zeros(4, 1, 8, 8)),
        "transformer": layerscope.trace(Encoder(), tokens, mask),
        "wide": layerscope.trace(Wide(), torch.zeros(1, 3, 32, 32)),
        "hostile": layerscope.trace(Hostile(), torch.zeros(1, 4)),
    }
    lines = [
        json.dumps([name, json.loads(codec.graph_json(graph))], separators=(",", ":")) for name, graph in graphs.items()
    ]
    Path(__file__).with_suffix(".jsonl").write_text("\n".join(lines) + "\n")
    for name, graph in graphs.items():
        print(name, len(graph.nodes), "nodes", len(graph.edges), "edges", graph.warnings)


if __name__ == "__main__":
    main()
