"""Torture: what goes in and comes out. The names are those of the table of cases that some tracer gets wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from zoo.case import Case, given, net, sequence, two_vectors, vector


def linear() -> nn.Linear:
    return nn.Linear(4, 4)


class Pair(NamedTuple):
    one: Tensor
    two: Tensor


@dataclass
class Batch:
    image: Tensor
    label: Tensor
    name: str = "batch"


class Plain:
    """An object that no walker of containers looks into."""

    def __init__(self, image: Tensor) -> None:
        self.image = image


class TakesBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, batch: Batch) -> Batch:
        return Batch(self.fc(batch.image), batch.label * 2)


def nested_containers_in_out(self: Any, x: dict[str, Any]) -> Any:
    (a, [b]), c = x["pair"], x["deep"]["c"]
    return [self.one(a), {"two": (self.two(b), [self.one(c)])}]


def dict_in_out(self: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"sum": self.one(batch["a"]) + self.two(batch["b"]), "product": batch["a"] * batch["b"]}


def namedtuple_in_out(self: Any, pair: Pair) -> Pair:
    return Pair(self.one(pair.one), self.two(pair.two) + pair.one)


def dataclass_out(self: Any, x: Tensor) -> Batch:
    return Batch(self.one(x), self.two(x))


def dataclass_in(self: Any, batch: Batch) -> Tensor:
    return self.one(batch.image) + self.two(batch.label)


def dataclass_between_modules(self: Any, x: Tensor) -> Tensor:
    batch = self.second(self.first(Batch(self.one(x), x)))
    return self.two(batch.image + batch.label)


def object_between_modules(self: Any, x: Tensor) -> Tensor:
    return self.unpack(self.pack(x))


def pack(self: Any, x: Tensor) -> Plain:
    return Plain(self.fc(x))


def unpack(self: Any, plain: Plain) -> Tensor:
    return self.fc(plain.image)


def object_in(self: Any, plain: Plain) -> Tensor:
    return self.one(plain.image)


def object_out(self: Any, x: Tensor) -> Plain:
    return Plain(self.one(x))


def kwargs_only(self: Any, *, left: Tensor, right: Tensor) -> Tensor:
    return self.one(left) - self.two(right)


def kwarg_name_clash(self: Any, input_data: Tensor, depth: Tensor, mode: Tensor, device: str) -> Tensor:
    return self.one(input_data) + self.two(depth) * mode if device == "cpu" else mode


def variadic(self: Any, *tensors: Tensor, **named: Tensor) -> Tensor:
    return self.one(torch.stack(tensors).sum(0)) + self.two(named["extra"])


def optional_none_and_flags(self: Any, x: Tensor, mask: Tensor | None = None, scale: float = 1.0, *, flag: bool) -> Any:
    x = self.one(x) * scale
    return (x if mask is None else x * mask), None, self.two(x) if flag else None, "text"


def complex_fft(self: Any, x: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(self.one(x))
    return self.two(torch.fft.irfft(spectrum * torch.view_as_complex(self.filter), n=4))


def torch_complex_op(self: Any, x: Tensor) -> Tensor:
    return torch.complex(self.one(x), self.two(x)).abs()


def complex_input(self: Any, z: Tensor) -> Tensor:
    return self.one(torch.cat([z.real, z.imag], -1)) * z.angle().sum()


def stochastic_normal(self: Any, x: Tensor) -> Tensor:
    mean, deviation = self.one(x), self.two(x).exp()
    return self.head(torch.normal(mean, deviation)) + torch.distributions.Normal(mean, deviation).rsample()


def stochastic_bernoulli(self: Any, x: Tensor) -> Tensor:
    keep = torch.bernoulli(torch.sigmoid(self.one(x)))
    return self.two(x * keep)


def as_tensor_midway(self: Any, x: Tensor) -> Tensor:
    return self.two(
        torch.as_tensor(self.one(x)) + torch.tensor([1.0, 2.0, 3.0, 4.0]) * torch.asarray(x, requires_grad=True)
    )


def scalar_and_list_output(self: Any, x: Tensor) -> Any:
    x = self.one(x)
    return x.sum(), 3, list(self.two(x)), x.mean().item()


def same_tensor_twice(self: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    out = self.one(x) + self.two(y)
    return out, out, x


def generator_argument(self: Any, x: Tensor) -> Tensor:
    return self.join(part for part in (self.one(x), self.two(x), x))


def join(self: Any, parts: Iterator[Tensor]) -> Tensor:
    return self.fc(torch.cat(list(parts), -1))


def generator_to_the_model(self: Any, parts: Iterator[Tensor]) -> Tensor:
    return sum(self.one(part) for part in parts) * 2


def sparse_input(self: Any, adjacency: Tensor, x: Tensor) -> Tensor:
    return self.two(torch.sparse.mm(adjacency, self.one(x)).relu())


def packed_sequence(self: Any, x: Tensor, lengths: Tensor) -> Tensor:
    packed, _ = self.rnn(pack_padded_sequence(self.one(x), lengths, batch_first=True))
    return self.two(pad_packed_sequence(packed, batch_first=True)[0])


def packed_sequence_in(self: Any, packed: PackedSequence) -> Tensor:
    return self.rnn(packed)[0].data


def integers_and_truths(self: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
    x = self.embedding(ids.clamp(0, 9)).masked_fill(~mask.unsqueeze(-1), 0.0)
    return self.one(x), x.argmax(-1), mask & (ids > 3)


def half_precision(self: Any, x: Tensor) -> Tensor:
    return self.two(self.one(x).float()).bfloat16()


def a_long_list_of_numbers(self: Any, x: Tensor, numbers: list[int]) -> Tensor:
    return self.two(self.one(x) * len(numbers))


def nothing_comes_out(self: Any, x: Tensor) -> None:
    self.one(x)


def two(forward: Any, **further: Any) -> Any:
    """A builder of a module with two linear layers, what most cases are made of."""
    return lambda: net(forward, one=linear(), two=linear(), **{name: make() for name, make in further.items()})


def adjacency() -> Tensor:
    return torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.5, 0.0]]).to_sparse_coo()


def packed() -> PackedSequence:
    return pack_padded_sequence(torch.randn(2, 5, 4), torch.tensor([5, 3]), batch_first=True)


CASES = (
    Case(
        "nested_containers_in_out",
        two(nested_containers_in_out),
        lambda: given({"pair": (torch.randn(2, 4), [torch.randn(2, 4)]), "deep": {"c": torch.randn(2, 4)}}),
    ),
    Case("dict_in_out", two(dict_in_out), lambda: given({"a": torch.randn(2, 4), "b": torch.randn(2, 4)})),
    Case("namedtuple_in_out", two(namedtuple_in_out), lambda: given(Pair(torch.randn(2, 4), torch.randn(2, 4)))),
    Case("dataclass_out", two(dataclass_out), vector),
    Case("dataclass_in", two(dataclass_in), lambda: given(Batch(torch.randn(2, 4), torch.randn(2, 4)))),
    Case("dataclass_between_modules", two(dataclass_between_modules, first=TakesBatch, second=TakesBatch), vector),
    Case(
        "object_between_modules",
        lambda: net(object_between_modules, pack=net(pack, fc=linear()), unpack=net(unpack, fc=linear())),
        vector,
    ),
    Case("object_in", two(object_in), lambda: given(Plain(torch.randn(2, 4)))),
    Case("object_out", two(object_out), vector),
    Case("kwargs_only", two(kwargs_only), lambda: given(left=torch.randn(2, 4), right=torch.randn(2, 4))),
    Case(
        "kwarg_name_clash",
        two(kwarg_name_clash),
        lambda: given(torch.randn(2, 4), depth=torch.randn(2, 4), mode=torch.randn(2, 4), device="cpu"),
    ),
    Case("variadic", two(variadic), lambda: given(torch.randn(2, 4), torch.randn(2, 4), extra=torch.randn(2, 4))),
    Case("optional_none_and_flags", two(optional_none_and_flags), lambda: given(torch.randn(2, 4), flag=True)),
    Case("complex_fft", two(complex_fft, filter=lambda: nn.Parameter(torch.randn(3, 2))), vector),
    Case("torch_complex_op", two(torch_complex_op), vector),
    Case(
        "complex_input",
        lambda: net(complex_input, one=nn.Linear(8, 4)),
        lambda: given(torch.randn(2, 4, dtype=torch.complex64)),
    ),
    Case("stochastic_normal", two(stochastic_normal, head=linear), vector),
    Case("stochastic_bernoulli", two(stochastic_bernoulli), vector),
    Case("as_tensor_midway", two(as_tensor_midway), vector),
    Case("scalar_and_list_output", two(scalar_and_list_output), vector),
    Case("same_tensor_twice", two(same_tensor_twice), lambda: given(*[torch.randn(2, 4)] * 2)),
    Case("same_output_twice", two(same_tensor_twice), two_vectors),
    Case("generator_argument", two(generator_argument, join=lambda: net(join, fc=nn.Linear(12, 4))), vector),
    Case("generator_to_the_model", two(generator_to_the_model), lambda: given(torch.randn(2, 4) for _ in range(3))),
    Case("sparse_input", two(sparse_input), lambda: given(adjacency(), torch.randn(3, 4))),
    Case(
        "packed_sequence",
        two(packed_sequence, rnn=lambda: nn.LSTM(4, 4, batch_first=True)),
        lambda: given(torch.randn(2, 5, 4), torch.tensor([5, 3])),
    ),
    Case("packed_sequence_in", lambda: net(packed_sequence_in, rnn=nn.GRU(4, 3)), lambda: given(packed())),
    Case(
        "integers_and_truths",
        two(integers_and_truths, embedding=lambda: nn.Embedding(10, 4)),
        lambda: given(torch.randint(0, 20, (2, 5)), torch.tensor([[True, True, False, True, False]] * 2)),
    ),
    Case(
        "half_precision",
        lambda: net(half_precision, one=linear().bfloat16(), two=linear()),
        lambda: given(torch.randn(2, 4, dtype=torch.bfloat16)),
    ),
    Case("a_long_list_of_numbers", two(a_long_list_of_numbers), lambda: given(torch.randn(2, 4), [*range(10_000)])),
    Case("nothing_comes_out", two(nothing_comes_out), vector),
    Case("tensor_in_three_dimensions", two(scalar_and_list_output), sequence),
)
