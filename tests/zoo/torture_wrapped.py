"""Torture: what is put around modules and functions. The names are those of the table that some tracer gets wrong."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

from zoo.case import Case, given, net, vector
from zoo.torture_values import adjacency, linear, two


def deprecated(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what torch warns of as deprecated, and people still use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


class Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] * 2


class Tagged(Tensor):
    """A tensor of a class of its own."""


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = linear(), linear()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(self.one(x).relu())


def straight(self: Any, x: Tensor) -> Tensor:
    return self.two(self.inner(self.one(x)))


def around(build: Callable[[], Any]) -> Callable[[], nn.Module]:
    """A builder: one linear layer, what ``build`` makes, another linear layer."""
    return lambda: net(straight, one=linear(), inner=build(), two=linear())


def modules_in_python_list(self: Any, x: Tensor) -> Tensor:
    for layer in self.layers:
        x = layer(x)
    return self.one(x)


def checkpointed(self: Any, x: Tensor) -> Tensor:
    x = self.one(x)
    return self.two(checkpoint(lambda x: self.inner(x) + x, x, use_reentrant=self.reentrant))


def vmap_func(self: Any, x: Tensor) -> Tensor:
    return self.two(torch.vmap(lambda row: self.one(row) * row.sum())(x))


def vmap_over_weights(self: Any, x: Tensor) -> Tensor:
    stacked = {name: torch.stack([p, 2 * p]) for name, p in self.one.named_parameters()}
    return torch.vmap(lambda weights: functional_call(self.one, weights, (x,)))(stacked)


def functional_call_inside(self: Any, x: Tensor) -> Tensor:
    changed = {name: parameter * 2 for name, parameter in self.one.named_parameters()}
    return self.two(functional_call(self.one, changed, (x,)))


def inference_mode_inside(self: Any, x: Tensor) -> Tensor:
    with torch.inference_mode():
        scale = self.one(x)
    return self.two(x) * scale.clone()


def grad_inside_forward(self: Any, x: Tensor) -> Tensor:
    with torch.enable_grad():
        y = x if x.requires_grad else x.detach().requires_grad_()
        (force,) = torch.autograd.grad(self.one(y).square().sum(), y, create_graph=True)
    return self.two(force)


def autocast_inside(self: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = self.one(x)
    return self.two(x.float())


def detach_and_numpy(self: Any, x: Tensor) -> Tensor:
    x = self.one(x)
    return self.two(torch.from_numpy(x.detach().numpy() * 2)) + x


def data_attr_and_item(self: Any, x: Tensor) -> Tensor:
    scale = self.one(x).data.abs().mean().item()
    return self.two(x.data) * scale + x


def functions_only(self: Any, x: Tensor) -> Tensor:
    return Doubling.apply(torch.relu(x) @ self.weight)


def custom_function(self: Any, x: Tensor) -> Tensor:
    return self.two(Doubling.apply(self.one(x)))


def early_exit_exception(self: Any, x: Tensor) -> Tensor:
    try:
        x = self.body(x)
    except StopIteration as stop:
        x = stop.value
    return self.two(x)


def stop_iteration(self: Any, x: Tensor) -> Tensor:
    raise StopIteration(self.fc(x))


def self_recursion(self: Any, x: Tensor, depth: int = 3) -> Tensor:
    return self.one(x) if depth == 0 else self(self.two(x), depth - 1) + x


def calls_forward_directly(self: Any, x: Tensor) -> Tensor:
    return self.two(self.inner.forward(self.one.forward(x)))


def mixture_of_experts(self: Any, x: Tensor) -> Tensor:
    weights, chosen = torch.softmax(self.gate(x), -1).topk(2)
    out = torch.zeros_like(x)
    for index, expert in enumerate(self.experts):
        rows, places = torch.where(chosen == index)
        if len(rows):
            out.index_add_(0, rows, expert(x[rows]) * weights[rows, places, None])
    return self.one(out)


def cond_hop(self: Any, x: Tensor) -> Tensor:
    return self.one(torch.cond(x.sum() > 0, self.two, torch.sin, (x,)))


def on_another_thread(self: Any, x: Tensor) -> Tensor:
    results: list[Tensor] = []
    thread = threading.Thread(target=lambda: results.append(self.one(x)))
    thread.start()
    thread.join()
    return self.two(results[0])


def compiled_function(self: Any, x: Tensor) -> Tensor:
    return self.two(self.function(self.one(x)))


@torch.compile
def in_place(x: Tensor) -> Tensor:
    x.mul_(2)
    return x.relu_()


def doubled(x: Tensor) -> Tensor:
    return x * 2 + 1


def weight_normed() -> nn.Module:
    return parametrizations.weight_norm(linear())


def twice_parametrized() -> nn.Module:
    module = parametrizations.spectral_norm(linear())
    parametrize.register_parametrization(module, "bias", net(symmetric))
    return module


def symmetric(self: Any, bias: Tensor) -> Tensor:
    return bias - bias.flip(0)


def pruned() -> nn.Module:
    return prune.l1_unstructured(linear(), "weight", 0.5)


def hooked() -> nn.Module:
    module = Residual()
    module.one.register_forward_pre_hook(lambda _, args: (args[0] * 2,))
    module.one.register_forward_hook(lambda _, __, result: result + 1)
    module.register_full_backward_hook(lambda *_: None)
    return module


def initialized_lazily() -> nn.Module:
    module = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
    module(torch.randn(2, 4))
    return module


def exported() -> nn.Module:
    return torch.export.export(Residual().eval(), (torch.randn(2, 4),)).module()


def moved_to_meta() -> nn.Module:
    return around(Residual)().to("meta")


def tagged() -> nn.Module:
    module = linear()
    module.weight = nn.Parameter(torch.randn(4, 4).as_subclass(Tagged))
    return module


def deeply_nested() -> nn.Module:
    module: nn.Module = linear()
    for _ in range(60):
        module = nn.Sequential(module)
    return module


def quantized() -> nn.Module:
    return deprecated(torch.ao.quantization.quantize_dynamic, around(Residual)(), {nn.Linear})


def many_linears() -> nn.Module:
    return nn.ModuleList([linear() for _ in range(4)])


def sparse_product(self: Any, x: Tensor) -> Tensor:
    return torch.sparse.mm(self.adjacency, self.one(x))


CASES = (
    Case(
        "modules_in_python_list",
        lambda: net(modules_in_python_list, one=linear(), layers=[Residual(), linear()]),
        vector,
    ),
    Case("weight_norm", around(weight_normed), vector),
    Case("parametrized_twice", around(twice_parametrized), vector),
    Case("pruned", around(pruned), vector),
    Case("hooks_present", around(hooked), vector),
    Case("lazy_after_its_first_forward", around(initialized_lazily), vector),
    Case("checkpoint_reentrant", two(checkpointed, inner=Residual, reentrant=lambda: True), vector),
    Case("checkpoint", two(checkpointed, inner=Residual, reentrant=lambda: False), vector),
    Case("vmap_func", two(vmap_func), vector),
    Case("vmap_over_weights", two(vmap_over_weights), vector),
    Case("functional_call", two(functional_call_inside), vector),
    Case("inference_mode_inside", two(inference_mode_inside), vector, reaches=("one",)),
    Case("grad_inside_forward", two(grad_inside_forward), vector, reaches=("one",)),
    Case("autocast_inside", two(autocast_inside), vector),
    Case("detach_and_numpy", two(detach_and_numpy), vector),
    Case("data_attr_and_item", two(data_attr_and_item), vector, reaches=("two",)),
    Case("functions_only", lambda: net(functions_only, weight=nn.Parameter(torch.randn(4, 4))), vector),
    Case("custom_function", two(custom_function), vector),
    Case("data_parallel", lambda: nn.DataParallel(around(Residual)()), vector),
    Case("script_submodule", around(lambda: deprecated(torch.jit.script, Residual())), vector),
    Case(
        "traced_submodule",
        around(lambda: deprecated(torch.jit.trace, Residual().eval(), torch.randn(2, 4))),
        vector,
    ),
    Case("script_model", lambda: deprecated(torch.jit.script, nn.Sequential(linear(), Residual())), vector),
    Case("script_function", two(compiled_function, function=lambda: deprecated(torch.jit.script, doubled)), vector),
    Case("compiled_model", lambda: torch.compile(around(Residual)()), vector),
    Case("compiled_submodule", around(lambda: torch.compile(Residual())), vector),
    Case("compiled_inplace", two(compiled_function, function=lambda: in_place), vector),
    Case("compiled_function", two(compiled_function, function=lambda: torch.compile(doubled)), vector),
    Case("graph_module", around(lambda: torch.fx.symbolic_trace(Residual())), vector),
    Case("exported_module", exported, vector),
    Case("quantized_dynamic", quantized, vector, ("input/x", "one", "inner.one", "inner.two", "two"), gradients=False),
    Case("meta_device", moved_to_meta, lambda: given(torch.randn(2, 4, device="meta"))),
    Case(
        "early_exit_exception",
        lambda: net(
            early_exit_exception,
            body=nn.Sequential(linear(), net(stop_iteration, fc=linear()), linear()),
            two=linear(),
        ),
        vector,
    ),
    Case(
        "mixture_of_experts",
        lambda: net(mixture_of_experts, gate=linear(), experts=many_linears(), one=linear()),
        lambda: given(torch.randn(6, 4)),
    ),
    Case("self_recursion", two(self_recursion), vector),
    Case("calls_forward_directly", two(calls_forward_directly, inner=Residual), vector),
    Case("cond_hop", two(cond_hop), lambda: given(torch.ones(2, 4)), ("input/x", "one", "two"), gradients=False),
    Case("tensor_subclass_param", around(tagged), vector),
    Case("tensor_subclass_input", two(straight, inner=Residual), lambda: given(torch.randn(2, 4).as_subclass(Tagged))),
    Case("deeply_nested_60", deeply_nested, vector),
    Case("on_another_thread", two(on_another_thread), vector),
    Case(
        "sparse_parameter",
        lambda: net(sparse_product, one=linear(), adjacency=adjacency()),
        lambda: given(torch.randn(3, 4)),
    ),
)
