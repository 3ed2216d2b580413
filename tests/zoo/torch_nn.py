"""The layers of torch.nn, every family of them, each with the smallest configuration that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zoo.case import Arguments, Case, given

LINE = (2, 4, 8)
"""Batch, channels, length."""
PLANE = (2, 4, 8, 8)
SPACE = (2, 4, 6, 6, 6)
ROWS = (2, 4)

_ELEMENTWISE = (
    nn.CELU, nn.ELU, nn.GELU, nn.GLU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.Identity,
    nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.RReLU, nn.SELU, nn.SiLU,
    nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Dropout,
    nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip

_LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Threshold": (lambda: nn.Threshold(0.1, 0.0), ROWS),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), ROWS),
    "Softmax": (lambda: nn.Softmax(-1), ROWS),
    "Softmin": (lambda: nn.Softmin(-1), ROWS),
    "Softmax2d": (nn.Softmax2d, PLANE),
    "Dropout1d": (nn.Dropout1d, LINE),
    "Dropout2d": (nn.Dropout2d, PLANE),
    "Dropout3d": (nn.Dropout3d, SPACE),
    "Linear": (lambda: nn.Linear(4, 3), ROWS),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, padding="same"), LINE),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3, padding_mode="reflect", padding=1, groups=2), PLANE),
    "Conv3d": (lambda: nn.Conv3d(4, 2, 3, stride=2), SPACE),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 2, 3), LINE),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 2, 3, stride=2), PLANE),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(4, 2, 3), SPACE),
    "Fold": (lambda: nn.Fold((4, 4), 2), (2, 4, 9)),
    "Unfold": (lambda: nn.Unfold(2), PLANE),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(2), LINE),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), PLANE),
    "AdaptiveAvgPool3d": (lambda: nn.AdaptiveAvgPool3d(2), SPACE),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(2), LINE),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(2, return_indices=True), PLANE),
    "AdaptiveMaxPool3d": (lambda: nn.AdaptiveMaxPool3d(2), SPACE),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), LINE),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), PLANE),
    "AvgPool3d": (lambda: nn.AvgPool3d(2), SPACE),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), LINE),
    "MaxPool2d": (lambda: nn.MaxPool2d(2, return_indices=True), PLANE),
    "MaxPool3d": (lambda: nn.MaxPool3d(2), SPACE),
    "LPPool1d": (lambda: nn.LPPool1d(2, 2), LINE),
    "LPPool2d": (lambda: nn.LPPool2d(2, 2), PLANE),
    "LPPool3d": (lambda: nn.LPPool3d(2, 2), SPACE),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, output_size=3), PLANE),
    "FractionalMaxPool3d": (lambda: nn.FractionalMaxPool3d(2, output_size=3), SPACE),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), LINE),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), PLANE),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(4), SPACE),
    "BatchNorm2d without statistics": (lambda: nn.BatchNorm2d(4, track_running_stats=False), PLANE),
    "SyncBatchNorm": (lambda: nn.SyncBatchNorm(4), PLANE),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, affine=True), LINE),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, track_running_stats=True), PLANE),
    "InstanceNorm3d": (lambda: nn.InstanceNorm3d(4), SPACE),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), PLANE),
    "LayerNorm": (lambda: nn.LayerNorm(8), LINE),
    "RMSNorm": (lambda: nn.RMSNorm(8), LINE),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), PLANE),
    "CrossMapLRN2d": (lambda: nn.CrossMapLRN2d(2), PLANE),
    "Flatten": (nn.Flatten, PLANE),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 2)), PLANE),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), PLANE),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), PLANE),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), PLANE),
    "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), PLANE),
    "UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d(scale_factor=2), PLANE),
    "UpsamplingBilinear2d": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), PLANE),
    "ConstantPad1d": (lambda: nn.ConstantPad1d(1, 0.5), LINE),
    "ZeroPad2d": (lambda: nn.ZeroPad2d(1), PLANE),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(1), PLANE),
    "ReplicationPad3d": (lambda: nn.ReplicationPad3d(1), SPACE),
    "CircularPad1d": (lambda: nn.CircularPad1d(1), LINE),
    "RNN": (lambda: nn.RNN(8, 3, nonlinearity="relu"), LINE),
    "GRU": (lambda: nn.GRU(8, 3, num_layers=2, dropout=0.1), LINE),
    "LSTM": (lambda: nn.LSTM(8, 3, bidirectional=True), LINE),
    "RNNCell": (lambda: nn.RNNCell(4, 3), ROWS),
    "GRUCell": (lambda: nn.GRUCell(4, 3), ROWS),
    "LSTMCell": (lambda: nn.LSTMCell(4, 3), ROWS),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), LINE),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, nn.LayerNorm(8), False),
        LINE,
    ),
    "Sequential": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Sequential(), nn.ReLU()), ROWS),
}

_LOSSES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Arguments]]] = {
    **{
        loss.__name__: (loss, lambda: given(torch.rand(2, 4), torch.rand(2, 4)))
        for loss in (
            nn.BCELoss,
            nn.BCEWithLogitsLoss,
            nn.HuberLoss,
            nn.L1Loss,
            nn.MSELoss,
            nn.PoissonNLLLoss,
            nn.SmoothL1Loss,
            nn.MultiLabelSoftMarginLoss,
        )
    },
    "CrossEntropyLoss": (nn.CrossEntropyLoss, lambda: given(torch.randn(2, 4), torch.tensor([0, 3]))),
    "NLLLoss": (nn.NLLLoss, lambda: given(torch.randn(2, 4).log_softmax(-1), torch.tensor([0, 3]))),
    "SoftMarginLoss": (nn.SoftMarginLoss, lambda: given(torch.randn(2), torch.tensor([1, -1]))),
    "MultiMarginLoss": (nn.MultiMarginLoss, lambda: given(torch.randn(2, 4), torch.tensor([0, 3]))),
    "MultiLabelMarginLoss": (
        nn.MultiLabelMarginLoss,
        lambda: given(torch.randn(2, 4), torch.tensor([[0, 3, -1, 1]] * 2)),
    ),
    "KLDivLoss": (
        lambda: nn.KLDivLoss(reduction="batchmean"),
        lambda: given(torch.randn(2, 4).log_softmax(-1), torch.rand(2, 4)),
    ),
    "GaussianNLLLoss": (nn.GaussianNLLLoss, lambda: given(*(torch.rand(2, 4) for _ in range(3)))),
    "MarginRankingLoss": (
        nn.MarginRankingLoss,
        lambda: given(torch.randn(4), torch.randn(4), torch.tensor([1.0, -1.0, 1.0, 1.0])),
    ),
    "HingeEmbeddingLoss": (
        nn.HingeEmbeddingLoss,
        lambda: given(torch.randn(4), torch.tensor([1.0, -1.0, 1.0, 1.0])),
    ),
    "CosineEmbeddingLoss": (
        nn.CosineEmbeddingLoss,
        lambda: given(torch.randn(2, 4), torch.randn(2, 4), torch.tensor([1.0, -1.0])),
    ),
    "TripletMarginLoss": (nn.TripletMarginLoss, lambda: given(*(torch.randn(2, 4) for _ in range(3)))),
    "TripletMarginWithDistanceLoss": (
        nn.TripletMarginWithDistanceLoss,
        lambda: given(*(torch.randn(2, 4) for _ in range(3))),
    ),
    "CTCLoss": (
        nn.CTCLoss,
        lambda: given(torch.randn(6, 2, 5).log_softmax(-1), torch.randint(1, 5, (2, 3)), (6, 5), (3, 2)),
    ),
    "AdaptiveLogSoftmaxWithLoss": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 6], div_value=1.5),
        lambda: given(torch.randn(3, 4), torch.tensor([1, 5, 8])),
    ),
}

_OTHERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Arguments]]] = {
    "Bilinear": (lambda: nn.Bilinear(4, 3, 2), lambda: given(torch.randn(2, 4), torch.randn(2, 3))),
    "Embedding": (lambda: nn.Embedding(10, 4, padding_idx=0), lambda: given(torch.tensor([[0, 3, 9]]))),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(10, 4), lambda: given(torch.tensor([1, 2, 3]), torch.tensor([0, 2]))),
    "CosineSimilarity": (nn.CosineSimilarity, lambda: given(torch.randn(2, 4), torch.randn(2, 4))),
    "PairwiseDistance": (nn.PairwiseDistance, lambda: given(torch.randn(2, 4), torch.randn(2, 4))),
    "MaxUnpool2d": (
        lambda: nn.MaxUnpool2d(2),
        lambda: given(torch.randn(1, 1, 1, 1), torch.zeros(1, 1, 1, 1, dtype=torch.int64)),
    ),
    "MultiheadAttention": (
        lambda: nn.MultiheadAttention(8, 2, kdim=4, vdim=4, add_bias_kv=True, batch_first=True),
        lambda: given(torch.randn(2, 3, 8), torch.randn(2, 5, 4), torch.randn(2, 5, 4)),
    ),
    "TransformerDecoderLayer": (
        lambda: nn.TransformerDecoderLayer(8, 2, 16, norm_first=True),
        lambda: given(torch.randn(3, 2, 8), memory=torch.randn(5, 2, 8)),
    ),
    "TransformerDecoder": (
        lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2),
        lambda: given(torch.randn(3, 2, 8), torch.randn(5, 2, 8)),
    ),
}


class Layer(nn.Module):
    """The layer between two functions, where most layers stand."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, *args: Any) -> Any:
        return self.layer(x * 2, *args)


def _within(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: Layer(build())


def _filled(shape: tuple[int, ...]) -> Callable[[], Arguments]:
    return lambda: given(torch.randn(shape))


CASES = (
    *(Case(kind.__name__, _within(kind), _filled(ROWS)) for kind in _ELEMENTWISE),
    *(Case(name, _within(build), _filled(shape)) for name, (build, shape) in _LAYERS.items()),
    *(Case(name, build, inputs) for name, (build, inputs) in (_LOSSES | _OTHERS).items()),
)
