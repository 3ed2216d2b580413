"""Models of every kind with inputs, baselines and features, of which every method is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from probed_models import Recurrent, Reusing

TARGET = torch.tensor([1, 0])


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU()
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


class Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True), 2
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), tokens], 1)
        return self.head(self.encoder(tokens)[:, 0])


class TextLstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.lstm(self.words(ids))[0].amax(1))


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 12), nn.Linear(12, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.second(functional.relu(self.first(x)))))


class Dicts(nn.Module):
    """A Transformers encoder; it returns a ModelOutput and takes keywords alone."""

    def __init__(self) -> None:
        super().__init__()
        sizes = {"vocab_size": 30, "hidden_size": 8, "intermediate_size": 16, "max_position_embeddings": 16}
        config = BertConfig(num_hidden_layers=2, num_attention_heads=2, num_labels=3, **sizes)
        self.bert = BertForSequenceClassification(config)

    def forward(self, *, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return self.bert(input_ids=input_ids, attention_mask=attention_mask)


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


IDS = torch.tensor([[4, 7, 1, 9], [3, 3, 12, 5]])


PATCHES = (torch.arange(8)[:, None] // 4 * 2 + torch.arange(8) // 4)[None, None]


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module]
    inputs: Any
    background: Any
    head: str
    """The layer whose output is the scores."""
    embedding: str = ""
    """The layer that looks up the input of integers."""
    features: Any = "auto"

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        model = self.make()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data *= 1.5  # so that what it says depends on what it sees
        return model.eval()

    def scores(self, model: nn.Module, inputs: Any) -> Tensor:
        output = model(**inputs) if isinstance(inputs, dict) else model(inputs)
        scores = output if isinstance(output, Tensor) else output.logits
        return scores.gather(1, TARGET[: len(scores), None]).squeeze(1)

    @property
    def first(self) -> Tensor:
        return next(iter(self.inputs.values())) if isinstance(self.inputs, dict) else self.inputs

    def exchanged(self, tensor: Tensor) -> Any:
        if not isinstance(self.inputs, dict):
            return tensor
        return {name: tensor if i == 0 else other for i, (name, other) in enumerate(self.inputs.items())}


BERT_INPUTS = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}


CASES = {
    "image CNN": Case(Cnn, images(2), images(3, 1), "head", features=PATCHES),
    "ViT": Case(Vit, images(2), images(3, 1), "head", features=PATCHES),
    "LSTM, text": Case(TextLstm, IDS, torch.tensor([[0, 0, 0, 0], [2, 6, 2, 8]]), "head", "words"),
    "Transformers encoder": Case(
        Dicts,
        BERT_INPUTS,
        {"input_ids": torch.tensor([[0, 0, 0, 0], [2, 6, 2, 8]]), "attention_mask": None},
        "bert.classifier",
        "bert.bert.embeddings.word_embeddings",
    ),
    "MLP, table": Case(Mlp, torch.randn(2, 6, generator=torch.Generator().manual_seed(3)), torch.randn(3, 6), "head"),
    "in place and reused": Case(Reusing, images(2), images(3, 1), "fc", features=PATCHES),
    "recurrent, image": Case(Recurrent, images(2), images(3, 1), "fc", features=PATCHES),
}
