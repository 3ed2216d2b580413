"""weights(): parameters for pictures, against a slow twin that looks at every element of every block."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode

from layerscope.errors import InvalidArgumentError
from layerscope.probing.weights import MAX_BARS, Weight, weights
from observed_trainings import as_bytes
from probed_models import DigitsNet, Spectral, Tokens


def slow(parameter: Tensor, factors: tuple[int, ...], *, filters: bool = False) -> np.ndarray:
    """Return the element of the largest magnitude of each block, or every so many-th filter, one by one."""
    values = parameter.detach().float().numpy()
    if filters:
        values, factors = values[:: factors[0]], (1, *factors[1:])
    sizes = [-(-size // factor) for size, factor in zip(values.shape, factors, strict=True)]
    found = np.empty(sizes, np.float32)
    for place in np.ndindex(*sizes):
        block = values[tuple(slice(i * f, (i + 1) * f) for i, f in zip(place, factors, strict=True))].flatten().tolist()
        broken = any(map(math.isnan, block))
        found[place] = math.nan if broken else max(block, key=lambda element: (abs(element), element))
    return found


def assert_same(found: Weight, parameter: Tensor) -> None:
    assert found.shape == tuple(parameter.shape)
    np.testing.assert_array_equal(found.values, slow(parameter, found.reduced, filters=found.filters), strict=True)


class Holder(nn.Module):
    """Holds a parameter of its own."""

    def __init__(self, parameter: Tensor) -> None:
        super().__init__()
        self.held = nn.Parameter(parameter, requires_grad=False)


def of(parameter: Tensor, **options: Any) -> Weight:
    return weights(nn.Sequential(Holder(parameter)), parameters=["0.held"], **options)["0.held"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.float8_e5m2])
def test_every_parameter_of_a_list_is_there_with_its_values_and_its_layer(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = DigitsNet().to(dtype)
    found = weights(model, parameters=["*"], max_elements=200)
    assert list(found) == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        assert found[name].layer == name.rpartition(".")[0]
        assert found[name].values.size <= 200
        assert_same(found[name], parameter)
    assert found["stem.0.weight"].reduced == (1, 1, 1, 1)
    assert found["fc.bias"].values.tolist() == model.fc.bias.float().tolist()


@pytest.mark.parametrize(
    ("shape", "max_elements", "reduced"),
    [
        ((1000, 2048), 65_536, (4, 8)),
        ((7, 3), 10, (3, 1)),  # the last block has one row
        ((5, 1001), 64, (1, 84)),
        ((2, 9, 10, 3), 100, (1, 3, 2, 1)),
        ((130, 130, 130), 60, (44, 33, 33)),
        ((70_000,), 65_536, (2,)),
        ((6, 5), 1, (6, 5)),
        ((6, 5), 30, (1, 1)),
        ((), 1, ()),
    ],
)
def test_the_longest_dimensions_are_reduced_until_it_is_small_enough(
    shape: tuple[int, ...], max_elements: int, reduced: tuple[int, ...]
) -> None:
    parameter = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = of(parameter, max_elements=max_elements)
    assert found.reduced == reduced
    assert found.values.size <= max_elements
    assert_same(found, parameter)


def test_what_is_looked_at_in_parts_is_the_same() -> None:
    parameter = torch.randn(3, 1501, 701, generator=torch.Generator().manual_seed(0))  # three million elements
    found = of(parameter.transpose(0, 2), max_elements=99)
    assert_same(found, parameter.transpose(0, 2))


def test_a_spike_keeps_its_sign_and_nan_stays() -> None:
    parameter = torch.full((512, 512), 0.01)
    parameter[100, 200], parameter[100, 201], parameter[511, 511] = 3.0, -7.0, torch.nan
    parameter[0, 0], parameter[2, 2], parameter[3, 2], parameter[200, 0] = 5.0, 6.0, -6.0, -torch.inf
    found = of(parameter)
    assert found.reduced == (2, 2)
    assert (found.values[50, 100], found.values[0, 0], found.values[1, 1]) == (-7, 5, 6)
    assert found.values[100, 0] == -np.inf
    assert np.isnan(found.values[255, 255])
    assert np.isnan(found.values).sum() == 1
    assert (np.delete(found.values[10], 0) == np.float32(0.01)).all()


def test_norms_are_of_whole_rows_whatever_is_reduced() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 90), nn.Conv2d(6, 5, 3), nn.Conv2d(3, 4, 3), nn.Embedding(MAX_BARS + 1, 2))
    with torch.no_grad():
        model[0].weight[41] = 0  # the block in which it stands hides it
    found = weights(model, parameters=["*.weight"], max_elements=500)
    for name in ("0.weight", "1.weight"):
        norms = found[name].norms
        assert norms is not None
        rows = model.get_parameter(name).detach().flatten(1).tolist()
        np.testing.assert_allclose(norms, [math.hypot(*row) for row in rows], rtol=1e-6)
    assert found["0.weight"].norms[41] == 0
    assert found["2.weight"].norms is None  # filters
    assert found["3.weight"].norms is None  # too many


def test_of_filters_some_are_left_out_and_none_is_changed() -> None:
    model = nn.Sequential(nn.Conv2d(3, 768, 16), nn.Conv2d(768, 8, 16), nn.ConvTranspose2d(512, 3, 16))
    found = weights(model, parameters=["*.weight"])
    first, inner, last = found["0.weight"], found["1.weight"], found["2.weight"]
    assert (first.filters, inner.filters, last.filters) == (True, False, True)
    assert (first.reduced, first.values.shape) == ((10, 1, 1, 1), (77, 3, 16, 16))
    np.testing.assert_array_equal(first.values[5], model[0].weight.detach()[50])
    assert inner.reduced == (1, 24, 1, 1)
    for name, weight in found.items():
        assert_same(weight, model.get_parameter(name))
    one = weights(nn.Conv2d(1, 3, 40), parameters=["weight"], max_elements=400)["weight"]
    assert (one.layer, one.reduced) == ("<Conv2d>", (3, 1, 2, 2))  # even one filter is too large


def test_auto_takes_everything_where_it_fits() -> None:
    for model in (DigitsNet(), Tokens(), nn.LSTM(3, 4)):
        found = weights(model)
        assert list(found) == [name for name, _ in model.named_parameters()]
        for name, weight in found.items():
            assert_same(weight, model.get_parameter(name))


def test_auto_takes_the_ends_first_and_what_tells_more() -> None:
    class Model(nn.Sequential):
        def __init__(self) -> None:
            inner = [nn.Linear(8, 8) for _ in range(4)]
            super().__init__(nn.Embedding(16, 4), nn.Conv2d(1, 4, 4), nn.Conv2d(4, 4, 2), *inner, nn.BatchNorm1d(8))

    def taken(max_total: int) -> list[str]:
        found = weights(Model(), max_total=max_total)
        assert sum(weight.values.size for weight in found.values()) <= max_total
        return list(found)

    names = [name for name, _ in Model().named_parameters()]
    assert taken(64) == ["1.weight"]  # the first convolution
    assert taken(128) == ["1.weight", "6.weight"]  # the last that is no vector
    assert taken(192) == ["0.weight", "1.weight", "6.weight"]
    assert taken(200) == ["0.weight", "1.weight", "6.weight", "7.bias"]
    assert taken(204) == ["0.weight", "1.weight", "1.bias", "6.weight", "7.bias"]
    vectors = [name for name, parameter in Model().named_parameters() if parameter.ndim == 1]
    assert taken(127) == ["1.weight", *vectors]  # what still fits
    assert taken(440) == taken(503) == [name for name in names if name != "2.weight"]  # an inner convolution
    assert taken(504) == names


def test_auto_leaves_long_vectors_and_what_parametrizations_are_made_of() -> None:
    model = nn.Sequential(nn.BatchNorm1d(MAX_BARS), nn.BatchNorm1d(MAX_BARS + 1), weight_norm(nn.Linear(3, 2)))
    assert list(weights(model)) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert weights(model, parameters=["1.bias"])["1.bias"].shape == (MAX_BARS + 1,)


def test_a_parametrized_parameter_is_shown_as_the_layer_uses_it() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(weight_norm(nn.Linear(6, 4)), spectral_norm(nn.Conv2d(2, 3, 3)))
    with torch.no_grad():
        model[0].parametrizations.weight.original0.mul_(3)
        model[1].parametrizations.weight.original.mul_(5)
    found = weights(model)
    model.eval()
    assert list(found) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    g, v = (getattr(model[0].parametrizations.weight, f"original{i}").detach().numpy() for i in (0, 1))
    np.testing.assert_allclose(found["0.weight"].values, g * v / np.linalg.norm(v, axis=1, keepdims=True), rtol=1e-5)
    assert_same(found["1.weight"], model[1].weight)
    assert not torch.equal(model[1].weight, model[1].parametrizations.weight.original)
    assert found["1.weight"].filters
    made_of = weights(model, parameters=["0.*"])
    originals = [f"0.parametrizations.weight.original{i}" for i in (0, 1)]
    assert list(made_of) == ["0.weight", "0.bias", *originals]
    assert {weight.layer for weight in made_of.values()} == {"0"}
    assert_same(made_of[originals[1]], model[0].parametrizations.weight.original1)


def test_a_cached_parametrization_keeps_its_graph() -> None:
    model = weight_norm(nn.Linear(3, 2))
    with parametrize.cached():
        weights(model)
        assert model.weight.grad_fn is not None
        model(torch.ones(1, 3)).sum().backward()
    assert model.parametrizations.weight.original1.grad is not None


class Low(nn.Module):
    """Adds a product of low rank to a weight, as LoRA does, which then is larger than what it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(20, 1)), nn.Parameter(torch.ones(1, 30))

    def forward(self, weight: Tensor) -> Tensor:
        return self.a @ self.b + weight


def test_what_a_parametrization_makes_counts_with_its_own_size() -> None:
    class Grown(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight.repeat(10, 10)

    model = nn.Linear(2, 2, bias=False)
    parametrize.register_parametrization(model, "weight", Grown(), unsafe=True)
    assert weights(model, max_total=399) == {}
    assert weights(model, max_total=400)["weight"].shape == (20, 20)
    adapted = nn.Sequential(nn.Linear(30, 20, bias=False))
    parametrize.register_parametrization(adapted[0], "weight", Low())
    found = weights(adapted)
    assert {name: weight.layer for name, weight in found.items()} == {
        "0.weight": "0",
        "0.parametrizations.weight.0.a": "0",
        "0.parametrizations.weight.0.b": "0",
    }
    assert_same(found["0.weight"], adapted[0].weight)


def test_tied_parameters_are_there_once_under_the_first_name_that_was_asked_for() -> None:
    model = nn.ModuleDict({"words": nn.Embedding(5, 4), "head": nn.Linear(4, 5)})
    model["head"].weight = model["words"].weight
    assert list(weights(model)) == ["words.weight", "head.bias"]
    assert list(weights(model, parameters=["head.*", "words.*"])) == ["words.weight", "head.bias"]
    only = weights(model, parameters=["head.weight"])
    assert {name: weight.layer for name, weight in only.items()} == {"head.weight": "head"}
    twice = nn.ModuleDict({"first": model["words"], "again": model["words"]})
    assert weights(twice, parameters=["again.weight"])["again.weight"].layer == "first"


def quantized() -> Tensor:
    values = torch.tensor([[0.5, -1.0], [2.0, 4.0]])
    return torch.quantize_per_channel(values, torch.ones(2) / 2, torch.zeros(2), 0, torch.qint8)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor, torch.quantize_per_channel:UserWarning")
def test_quantized_parameters_are_shown_as_numbers() -> None:
    assert of(quantized()).values.tolist() == [[0.5, -1], [2, 4]]
    assert of(quantized(), max_elements=2).values.tolist() == [[2, 4]]


@pytest.fixture
def process_group() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


UNAVAILABLE: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "lazy": (
        lambda: nn.LazyLinear(2),
        "it is lazy, without a shape until the model runs. Run it once on a batch first.",
    ),
    "meta": (
        lambda: Holder(torch.ones(2, device="meta")),
        "it lies on the meta device, without values. Load them first.",
    ),
    "packed": (lambda: Holder(torch.ones(2, dtype=torch.uint8)), "it holds torch.uint8, no real numbers."),
    "complex": (lambda: Holder(torch.ones(2, dtype=torch.complex64)), "it holds torch.complex64, no real numbers."),
    "sparse": (lambda: Holder(torch.eye(3).to_sparse()), "its layout is torch.sparse_coo. Choose a dense one."),
    "empty": (lambda: Holder(torch.ones(2, 0)), "it has no elements. Choose another one."),
    "wrapping": (lambda: Holder(TwoTensor(torch.ones(2), torch.ones(2))), "it is a TwoTensor, whose values lie in"),
}


@pytest.mark.parametrize("kind", UNAVAILABLE)
def test_what_has_no_values_is_left_out_unless_it_was_named(kind: str) -> None:
    make, message = UNAVAILABLE[kind]
    model = nn.Sequential(make(), nn.Linear(2, 2))
    there, name = ["1.weight", "1.bias"], next(name for name, _ in model.named_parameters())
    assert list(weights(model)) == there
    assert list(weights(model, parameters=["*"])) == there
    for asked in ([name], ["0.*"]):
        with pytest.raises(InvalidArgumentError) as error:
            weights(model, parameters=asked)
        assert f"parameter {name!r} was asked for, but {message}" in str(error.value)


@pytest.mark.usefixtures("process_group")
def test_shards_are_left_out_unless_they_were_named() -> None:
    whole = distribute_tensor(torch.ones(4, 2), init_device_mesh("cpu", (1,)), [Shard(0)])
    model = nn.Sequential(Holder(whole), nn.Linear(2, 2))
    assert list(weights(model)) == ["1.weight", "1.bias"]
    with pytest.raises(
        InvalidArgumentError, match=r"'0.held' was asked for, but it is a DTensor, in shards on several"
    ):
        weights(model, parameters=["0.held"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": "fc.weight"}, r'must be "auto" or a list .*, not \'fc.weight\'; give \[\'fc.weight\'\]'),
        ({"parameters": ["fc.wieght"]}, r"'fc.wieght' is not. Nearest of the model's 19: 'fc.weight'"),
        ({"parameters": ["fc.*", "head.*"]}, r"'head.\*' is not"),
        ({"parameters": [0]}, r"must be a list of parameter names, .* but it has a int"),
        ({"max_elements": 0}, r"max_elements must be 1 or more, but it is 0"),
        ({"max_total": 0}, r"max_total must be 1 or more, but it is 0"),
    ],
)
def test_errors_say_the_rule(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        weights(DigitsNet(), **options)


def test_an_empty_list_is_nothing_and_a_name_comes_before_a_pattern() -> None:
    assert weights(DigitsNet(), parameters=[]) == {}
    model = nn.ParameterDict({"w[0]": nn.Parameter(torch.ones(2)), "w0": nn.Parameter(torch.ones(3))})
    assert list(weights(model, parameters=["w[0]"])) == ["w[0]"]


def test_wrapped_models_go_by_their_original() -> None:
    model = DigitsNet()
    assert list(weights(torch.compile(model, backend="eager"))) == [name for name, _ in model.named_parameters()]
    with torch.inference_mode():
        frozen = nn.Linear(3, 2)
        found = weights(nn.Sequential(frozen), max_elements=3)
    assert_same(found["0.weight"], frozen.weight)


class Copies(TorchDispatchMode):
    """Measures the largest tensor that is made."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {tensor.untyped_storage().data_ptr() for tensor in args if isinstance(tensor, Tensor)}
        if isinstance(result, Tensor) and result.untyped_storage().data_ptr() not in given:
            self.largest = max(self.largest, result.numel())
        return result


def test_nothing_is_copied_of_what_is_not_shown_and_little_of_the_rest() -> None:
    model = nn.Sequential(nn.Linear(2000, 2000).bfloat16(), nn.Linear(3, 2))
    with Copies() as copies:
        weights(model, parameters=["1.*"])
    assert copies.largest == 6
    with Copies() as copies:
        weights(model)
    assert 4 < copies.largest <= 2**20


def everything(model: nn.Module) -> list[object]:
    """Return what an observer could change, as values that compare exactly."""
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [(id(tensor), as_bytes(tensor), tensor.requires_grad, tensor._version) for tensor in tensors],
        [None if p.grad is None else as_bytes(p.grad) for p in model.parameters()],
        [(module.training, list(vars(module)), len(module._forward_hooks)) for module in model.modules()],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    ]


class Failing(nn.Module):
    """A parametrization that draws and keeps what it drew, and then may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.register_buffer("average", torch.zeros(1))

    def forward(self, weight: Tensor) -> Tensor:
        self.average += torch.rand(1)
        if self.fails:
            raise RuntimeError("no more")
        return weight * 2


def test_the_model_is_left_as_found_also_when_a_parametrization_fails() -> None:
    torch.manual_seed(0)
    for model in (DigitsNet().train(), Spectral().train()):
        model(torch.randn(2, 1, 8, 8)).sum().backward()
        waiting = model(torch.randn(2, 1, 8, 8)).sum()
        before = everything(model)
        found = weights(model)
        for weight in found.values():
            weight.values[...] = 0  # its own memory
        assert everything(model) == before
        waiting.backward()
    layer, failing = nn.Linear(3, 3), Failing()
    parametrize.register_parametrization(layer, "weight", failing)
    before = everything(layer)
    weights(layer)
    assert everything(layer) == before
    failing.fails = True
    with pytest.raises(RuntimeError, match="no more"):
        weights(layer)
    assert everything(layer) == before
