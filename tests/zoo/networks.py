"""Networks as people build them, and further things that a forward may do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint_sequential

from traced_models import ResidualNet, mlp
from zoo.case import Case, given, image, net, sequence, tokens, two_vectors, vector
from zoo.torture_values import linear, two
from zoo.torture_wrapped import deprecated


def conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def u_net(self: Any, x: Tensor) -> Tensor:
    skips = []
    for stage in self.down:
        x = stage(x)
        skips.append(x)
        x = functional.max_pool2d(x, 2)
    x = self.bottom(x)
    for stage, skip in zip(self.up, reversed(skips), strict=True):
        x = stage(torch.cat([functional.interpolate(x, scale_factor=2), skip], 1))
    return self.head(x)


def u() -> nn.Module:
    down = nn.ModuleList([conv(3, 4), conv(4, 8)])
    up = nn.ModuleList([conv(16, 4), conv(8, 4)])
    return net(u_net, down=down, bottom=conv(8, 8), up=up, head=nn.Conv2d(4, 2, 1))


def dense_block(self: Any, x: Tensor) -> Tensor:
    features = [x]
    for layer in self.layers:
        features.append(layer(torch.cat(features, 1)))
    return torch.cat(features, 1)


def inception(self: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    x = torch.cat([branch(x) for branch in self.branches], 1)
    return self.head(x.flatten(1)), x


def squeeze_and_excitation(self: Any, x: Tensor) -> Tensor:
    return x * self.gate(x.mean((2, 3)))[:, :, None, None]


def classifier(self: Any, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
    states, (h, _) = self.rnn(self.embedding(ids))
    return self.head(torch.cat([states[:, -1], h[-1]], -1))


def language_model(self: Any, ids: Tensor) -> Tensor:
    mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
    x = self.embedding(ids) + self.positions[: ids.shape[1]]
    return self.head(self.encoder(x, mask=mask, is_causal=True))


def tied() -> nn.Module:
    module = net(
        language_model,
        embedding=nn.Embedding(10, 8),
        positions=nn.Parameter(torch.randn(6, 8)),
        encoder=nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        head=nn.Linear(8, 10, bias=False),
    )
    module.head.weight = module.embedding.weight
    return module


def attention_by_function(self: Any, x: Tensor) -> Tensor:
    query, key, value = self.wide(x).chunk(3, -1)
    return self.one(functional.scaled_dot_product_attention(query, key, value, is_causal=True))


def attends(self: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    return self.attention(x, x, x)


def autoencoder(self: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean, log_variance = self.encoder(x).chunk(2, -1)
    z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    return self.decoder(z), mean, log_variance


def siamese(self: Any, left: Tensor, right: Tensor) -> Tensor:
    return functional.cosine_similarity(self.tower(left), self.tower(right))


def shared_under_two_names(self: Any, x: Tensor) -> Tensor:
    return self.again(self.first(x).relu())


def shared() -> nn.Module:
    layer = linear()
    return net(shared_under_two_names, first=layer, again=nn.Sequential(layer, layer))


def with_losses(self: Any, x: Tensor, target: Tensor) -> dict[str, Any]:
    logits = self.one(x)
    return {"logits": logits, "loss": self.loss(logits, target), "none": None}


def children_not_called(self: Any, x: Tensor) -> Tensor:
    return self.two(self.attention_like(x))


def by_weight(self: Any, x: Tensor) -> Tensor:
    return functional.linear(x, self.fc.weight, self.fc.bias) @ self.scale


def returns_what_it_got(self: Any, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    return self.pair(x, y)[0], y, self.one.weight


def swapped(self: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return y, self.fc(x)


def normalized(self: Any, x: Tensor) -> Tensor:
    left, values, right = torch.linalg.svd(self.one(x), full_matrices=False)
    return (left * values) @ right + torch.linalg.norm(self.two(x))


def under_no_grad(self: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        x = self.one(x)
    return self.two(x)


def in_segments(self: Any, x: Tensor) -> Tensor:
    return checkpoint_sequential(self.stack, 2, self.one(x), use_reentrant=False)


def jacobian(self: Any, x: Tensor) -> Tensor:
    return self.two(torch.func.vmap(torch.func.jacrev(self.one))(x).sum(-1))


def forked(self: Any, x: Tensor) -> Tensor:
    return deprecated(torch.jit.wait, deprecated(torch.jit.fork, self.one, x)) + self.two(x)


@torch.library.custom_op("layerscope_zoo::tripled", mutates_args=())
def tripled(x: Tensor) -> Tensor:
    return x * 3


def custom_operator(self: Any, x: Tensor) -> Tensor:
    return self.two(tripled(self.one(x)))


def returns_nothing(self: Any, x: Tensor) -> Tensor:
    x = self.one(x).clone()
    self.log(x)
    self.shift(x)
    return self.two(x)


def log(self: Any, x: Tensor) -> float:
    return x.mean().item()


def shift(self: Any, x: Tensor) -> None:
    x += self.fc(x)


def nested_tensor(self: Any, parts: list[Tensor]) -> Tensor:
    ragged = torch.nested.nested_tensor(parts, layout=torch.jagged)
    return self.two(self.one(ragged).values())


def odd_names() -> nn.Module:
    names = ["input", "output", "a/b", "weird 'name'\n", "1", "x#1", "forward_", "self_", "Ünïcode"]
    return nn.Sequential(net(through_all, layers=nn.ModuleDict({name: linear() for name in names}), x=linear()))


def through_all(self: Any, x: Tensor) -> Tensor:
    for layer in self.layers.values():
        x = layer(x)
    return self.x(self.x(x))


def thousand() -> nn.Module:
    return nn.Sequential(*[nn.Linear(2, 2) for _ in range(300)])


def dense() -> nn.Module:
    return net(dense_block, layers=nn.ModuleList([conv(3 + 4 * index, 4) for index in range(3)]))


def branches() -> nn.Module:
    kinds = nn.ModuleList([nn.Conv2d(3, 2, 1), conv(3, 2), nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(3, 2, 1))])
    return net(inception, branches=kinds, head=nn.Linear(6 * 256, 3))


def recurrent() -> nn.Module:
    rnn = nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
    return net(classifier, embedding=nn.Embedding(10, 4), rnn=rnn, head=nn.Linear(9, 2))


def gate() -> nn.Module:
    return net(squeeze_and_excitation, gate=nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 3), nn.Sigmoid()))


def mlp_of_four() -> nn.Module:
    return nn.Sequential(linear(), nn.ReLU(), linear(), nn.Tanh())


def variational() -> nn.Module:
    return net(autoencoder, encoder=nn.Sequential(linear(), nn.ReLU(), linear()), decoder=nn.Linear(2, 4))


CASES = (
    Case("mlp", mlp, lambda: given(torch.randn(2, 3))),
    Case("residual_net", ResidualNet, image),
    Case("u_net", u, image),
    Case("dense_net", dense, image),
    Case("inception", branches, image),
    Case("squeeze_and_excitation", gate, image),
    Case("recurrent", recurrent, tokens, reaches=("input/ids",)),
    Case("language_model_tied", tied, tokens, reaches=("input/ids",)),
    Case(
        "transformer",
        lambda: nn.Transformer(8, 2, 1, 2, 16, batch_first=True),
        lambda: given(torch.randn(2, 5, 8), torch.randn(2, 3, 8)),
    ),
    Case(
        "attention_as_the_model",
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
        lambda: given(*[torch.randn(2, 5, 4)] * 3),
    ),
    Case("attention_as_a_layer", lambda: net(attends, attention=nn.MultiheadAttention(4, 2)), sequence),
    Case("attention_by_function", two(attention_by_function, wide=lambda: nn.Linear(4, 12)), sequence),
    Case("variational", variational, vector),
    Case("siamese", lambda: net(siamese, tower=nn.Sequential(linear(), nn.Tanh(), linear())), two_vectors),
    Case("shared_under_two_names", shared, vector),
    Case(
        "with_losses",
        two(with_losses, loss=nn.CrossEntropyLoss),
        lambda: given(torch.randn(2, 4), torch.tensor([1, 3])),
    ),
    Case(
        "children_not_called",
        two(children_not_called, attention_like=lambda: net(by_weight, fc=linear(), scale=nn.Parameter(torch.eye(4)))),
        vector,
    ),
    Case("returns_what_it_got", two(returns_what_it_got, pair=lambda: net(swapped, fc=linear())), two_vectors),
    Case("linear_algebra", two(normalized), vector),
    Case("under_no_grad", two(under_no_grad), vector, reaches=("one", "input/x")),
    Case("checkpointed_in_segments", two(in_segments, stack=mlp_of_four), vector),
    Case("jacobian", two(jacobian), vector),
    Case("forked", two(forked), vector),
    Case("custom_operator", two(custom_operator), vector, reaches=("one", "input/x")),
    Case("returns_nothing", two(returns_nothing, log=lambda: net(log), shift=lambda: net(shift, fc=linear())), vector),
    Case("nested_tensor", two(nested_tensor), lambda: given([torch.randn(2, 4), torch.randn(3, 4)])),
    Case("odd_names", odd_names, vector),
    Case("deep", thousand, lambda: given(torch.randn(1, 2))),
    Case("double_precision", lambda: mlp().double(), lambda: given(torch.randn(2, 3, dtype=torch.float64))),
)
