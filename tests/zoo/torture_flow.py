"""Torture: how data flows. The names are those of the table of cases that some tracer gets wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.case import Case, given, image, net, sequence, two_vectors, vector
from zoo.torture_values import linear, two


def loop_data_dependent(self: Any, x: Tensor) -> Tensor:
    steps = 0
    while x.norm() > 0.5 and steps < 5:
        x, steps = self.one(x) * 0.5, steps + 1
    return self.two(x)


def branch_on_value(self: Any, x: Tensor) -> Tensor:
    return self.one(x) if x.sum() > 0 else self.two(x)


def rnn_unrolled(self: Any, x: Tensor, h: Tensor) -> Tensor:
    for step in range(x.shape[1]):
        h = torch.tanh(self.one(x[:, step]) + self.two(h))
    return h


def rnn_unrolled_new_zeros(self: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    h, c = x.new_zeros(2, 4), x.new_zeros(2, 4)
    states = []
    for step in x.unbind(1):
        h, c = self.cell(step, (h, c))
        states.append(h)
    return torch.stack(states, 1), c


def growing_list(self: Any, x: Tensor) -> Tensor:
    states = [x]
    for _ in range(6):
        states.append(self.join(states))
    return states[-1]


def mean_of_all(self: Any, states: list[Tensor]) -> Tensor:
    return self.fc(torch.stack(states).mean(0))


def buffer_only_module(self: Any, ids: Tensor) -> Tensor:
    return self.one(self.tokens(ids) + self.positions(self.position_ids[: ids.shape[1]]))


def positions() -> nn.Module:
    module = net(buffer_only_module, one=linear(), tokens=nn.Embedding(10, 4), positions=nn.Embedding(8, 4))
    module.register_buffer("position_ids", torch.arange(8))
    return module


def param_only_branch(self: Any, x: Tensor) -> Tensor:
    return self.one(x) * self.two(self.latent).sigmoid()


def hypernetwork(self: Any, x: Tensor) -> Tensor:
    return self.two(functional.linear(x, self.one(self.latent).view(4, 4)))


def no_input_module(self: Any, x: Tensor) -> Tensor:
    return self.two(x) + self.source()


def source(self: Any) -> Tensor:
    return self.fc(torch.ones(2, 4))


def model_without_inputs(self: Any) -> Tensor:
    return self.two(self.one(self.latent) + torch.arange(4.0))


def inplace_chain(self: Any, x: Tensor) -> Tensor:
    x = self.one(x)
    x += 1
    x.mul_(2).clamp_(-1, 1)
    x = self.relu(self.two(x))
    x[x < 0.1] = 0
    x.zero_().add_(self.one(x))
    return x


def setitem_scatter(self: Any, x: Tensor) -> Tensor:
    out = torch.zeros(2, 5, 4)
    for step in range(5):
        out[:, step] = self.one(x[:, step])
    out[0, ::2, 1] = self.two(x[1]).sum()
    return out


def scatter_add(self: Any, x: Tensor) -> Tensor:
    out = torch.zeros(3, 4)
    out.index_add_(0, torch.tensor([0, 2]), self.one(x))
    out.scatter_(0, torch.zeros(1, 4, dtype=torch.int64), self.two(x)[:1])
    return out


def out_kwarg(self: Any, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        result = torch.empty(2, 4)
        torch.add(self.one(x), self.two(y), out=result)
    return result


def views_written_in_place(self: Any, x: Tensor) -> Tensor:
    x = self.one(x)
    grid = x.view(2, 2, 2).transpose(0, 1)
    grid[1].copy_(self.two(x).view(2, 2, 2)[0])
    x.t()[0].add_(self.three(x)[:, 0])
    return x


def one_chunk_in_place(self: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():  # autograd forbids it
        left, right = self.wide(x).chunk(2, -1)
        left.add_(self.one(x))
        right.sigmoid_()
        return left, self.two(right)


def one_slice_in_place(self: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    both = self.wide(x).clone()
    left, right = both[:, :4], both[:, 4:]
    left += self.one(x)
    right.sigmoid_()
    return left, self.two(right)


def in_place_under_a_view(self: Any, x: Tensor) -> Tensor:
    base = self.one(x)
    view = base.view(-1)  # made before the base is written
    base.add_(self.two(x))
    return view


def copied_into_a_buffer(self: Any, x: Tensor) -> Tensor:
    self.memory.copy_(self.one(x).detach())
    self.calls += 1
    return self.two(self.memory) / self.calls


def memory() -> nn.Module:
    module = two(copied_into_a_buffer)()
    module.register_buffer("memory", torch.zeros(2, 4))
    module.register_buffer("calls", torch.zeros(()))
    return module


def buffer_replaced(self: Any, x: Tensor) -> Tensor:
    self.running = 0.9 * self.running + 0.1 * self.one(x).mean(0)
    return self.two(x - self.running)


def running() -> nn.Module:
    module = two(buffer_replaced)()
    module.register_buffer("running", torch.zeros(4))
    return module


def unused_output_and_dead_branch(self: Any, x: Tensor) -> Tensor:
    self.two(x)
    left, _ = self.one(x).chunk(2, -1)
    return left


def state_on_self(self: Any, x: Tensor) -> Tensor:
    """As torchvision's RAFT does: tensors wait on the module, from call to call."""
    self.cache = self.one(x)
    if not hasattr(self, "pyramid"):
        self.pyramid = []
    self.pyramid.append(self.cache.mean())
    self.reader.source = self.cache
    return self.reader() + self.pyramid[0]


def reader(self: Any) -> Tensor:
    return self.fc(self.source)


def read_and_written_parameter(self: Any, x: Tensor) -> Tensor:
    return x * self.scale + self.embedding.weight[0] + self.tied.weight.t()[1] + self.tied(x)


def tied_and_frozen() -> nn.Module:
    module = net(
        read_and_written_parameter,
        scale=nn.Parameter(torch.randn(4)),
        embedding=nn.Embedding(10, 4),
        tied=nn.Linear(4, 10, bias=False),
    )
    module.tied.weight = module.embedding.weight
    module.tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False))
    module.tied.weight = nn.Parameter(torch.randn(4, 4))
    return module


def flat_parameters(self: Any, x: Tensor) -> Tensor:
    """Weights that are slices of one tensor, as in flattened and sharded training."""
    return functional.linear(functional.linear(x, self.left.t()), self.right.t()) + self.left[0]


def flat() -> nn.Module:
    storage = torch.randn(2, 4, 4)
    return net(flat_parameters, left=nn.Parameter(storage[0]), right=nn.Parameter(storage[1]))


def residual_twice(self: Any, x: Tensor) -> Tensor:
    x = x + self.one(x)
    return x + self.two(self.drop(x)) + self.identity(x)


def multiple_uses_of_views(self: Any, x: Tensor) -> Tensor:
    query, key, value = self.wide(x).view(2, 5, 3, 4).unbind(2)
    weights = torch.softmax(torch.einsum("bid,bjd->bij", query, key) / 2, -1)
    return self.one(weights @ value).permute(0, 2, 1).reshape(2, -1)[:, None].expand(2, 3, 20)


def convolution_by_hand(self: Any, x: Tensor) -> Tensor:
    patches = functional.unfold(x, 4, stride=4).transpose(1, 2)
    tokens = torch.cat([self.token.expand(2, -1, -1), self.embed(patches)], 1)
    tokens = functional.pad(tokens, (0, 0, 0, 1)) + self.position
    padded = functional.interpolate(tokens.transpose(1, 2), scale_factor=2.0)
    return padded.flip(-1).roll(1, -1).cumsum(-1).topk(3)[0], torch.where(padded > 0, padded, 0).max(-1).values


def sorting_and_picking(self: Any, x: Tensor) -> tuple[Tensor, ...]:
    values, order = self.one(x).sort(-1)
    picked = torch.gather(self.two(x), -1, order)
    return picked.index_select(1, torch.tensor([0, 2])), values.take_along_dim(order, -1), torch.unique(order)


CASES = (
    Case("loop_data_dependent", two(loop_data_dependent), vector),
    Case("branch_on_value", two(branch_on_value), vector),
    Case("rnn_unrolled", two(rnn_unrolled), lambda: given(torch.randn(2, 5, 4), torch.zeros(2, 4))),
    Case("rnn_unrolled_new_zeros", lambda: net(rnn_unrolled_new_zeros, cell=nn.LSTMCell(4, 4)), sequence),
    Case("growing_list", lambda: net(growing_list, join=net(mean_of_all, fc=linear())), vector),
    Case(
        "buffer_only_module", positions, lambda: given(torch.randint(0, 10, (2, 5))), reaches=("input/ids", "positions")
    ),
    Case("param_only_branch", two(param_only_branch, latent=lambda: nn.Parameter(torch.randn(2, 4))), vector),
    Case(
        "hypernetwork",
        lambda: net(hypernetwork, one=nn.Linear(3, 16), two=linear(), latent=nn.Parameter(torch.randn(3))),
        vector,
    ),
    Case("no_input_module", two(no_input_module, source=lambda: net(source, fc=linear())), vector),
    Case("model_without_inputs", two(model_without_inputs, latent=lambda: nn.Parameter(torch.randn(4))), given),
    Case(
        "inplace_chain",
        two(inplace_chain, relu=lambda: nn.ReLU(inplace=True)),
        vector,
        reaches=("input/x", "one", "two", "relu", "one#1"),
    ),
    Case("setitem_scatter", two(setitem_scatter), sequence),
    Case("scatter_add", two(scatter_add), vector),
    Case("out_kwarg", two(out_kwarg), two_vectors, reaches=("input/x", "input/y", "one", "two")),
    Case(
        "views_written_in_place",
        two(views_written_in_place, three=linear),
        vector,
        reaches=("input/x", "one", "two", "three"),
    ),
    Case(
        "one_chunk_in_place",
        two(one_chunk_in_place, wide=lambda: nn.Linear(4, 8)),
        vector,
        reaches=("input/x", "one", "two", "wide"),
        apart=(("one", "two"), ("one", "output/1")),
    ),
    Case(
        "one_slice_in_place",
        two(one_slice_in_place, wide=lambda: nn.Linear(4, 8)),
        vector,
        apart=(("one", "two"), ("one", "output/1")),
    ),
    Case("in_place_under_a_view", two(in_place_under_a_view), vector),
    Case("copied_into_a_buffer", memory, vector, reaches=("input/x", "one", "two")),
    Case("buffer_replaced", running, vector),
    Case(
        "unused_output_and_dead_branch",
        two(unused_output_and_dead_branch),
        vector,
        apart=(("two", "output/0"),),
    ),
    Case("state_on_self", two(state_on_self, reader=lambda: net(reader, fc=linear())), vector),
    Case("read_and_written_parameter", tied_and_frozen, vector),
    Case("flat_parameters", flat, vector),
    Case("residual_twice", two(residual_twice, drop=nn.Dropout, identity=nn.Identity), vector),
    Case("multiple_uses_of_views", two(multiple_uses_of_views, wide=lambda: nn.Linear(4, 12)), sequence),
    Case(
        "convolution_by_hand",
        lambda: net(
            convolution_by_hand,
            embed=nn.Linear(48, 4),
            token=nn.Parameter(torch.randn(1, 1, 4)),
            position=nn.Parameter(torch.randn(1, 18, 4)),
        ),
        image,
    ),
    Case("sorting_and_picking", two(sorting_and_picking), vector),
)
