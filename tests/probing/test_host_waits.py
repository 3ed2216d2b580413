"""On an accelerator nothing waits: one copy to the host for each series that is recorded, none at any other step.

There need be no accelerator: tensors of the device ``meta`` stand for those of one. They have shapes and no values, so
they refuse whatever would have to wait for a value; every copy is seen on its way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from layerscope.probing.device_measuring import send
from layerscope.probing.layer_rows import LayerRows
from layerscope.probing.pending import Pending
from layerscope.scope import Scope

OF_PARAMETERS = ("gradients", "parameters", "updates")
OF_OUTPUTS = ("training_activations", "activation_gradients")
HOST = torch.device("cpu")
aten = torch.ops.aten


class Traffic(TorchDispatchMode):
    """Counts operations and copies between host and device. What goes from ``meta`` to the host arrives as ones."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.to_host = 0
        self.to_device_waiting = 0
        """Copies to the device for which the host would wait."""
        self._factories = Factories(self)

    def __enter__(self) -> Traffic:
        self._factories.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._factories.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.operations += func is not torch.ops.prim.device.default
        source, target = None, None
        if func is aten._to_copy.default:
            source, target = args[0].device, kwargs.get("device")
        elif func is aten.copy_.default:
            source, target = args[1].device, args[0].device
            kwargs = kwargs | dict(zip(["non_blocking"], args[2:], strict=False))
            args = args[:2]
        if target is not None and source != target:
            if target == HOST:
                self.to_host += 1
                if source.type == "meta":
                    return torch.ones(args[0].shape, dtype=args[0].dtype)
            elif source == HOST:
                self.to_device_waiting += not kwargs.get("non_blocking")
        return func(*args, **kwargs)


class Factories(TorchFunctionMode):
    """Counts ``torch.tensor(values, device=device)``, which copies and waits without an operation that tells."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self._traffic = traffic

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and kwargs.get("device") not in (None, "cpu", HOST):
            self._traffic.to_device_waiting += 1
        return func(*args, **kwargs)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3),
        nn.Sigmoid(),
    ).to("meta")  # fmt: skip


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        model(torch.empty(2, 1, 8, 8, device="meta")).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def every(*series: str) -> dict[str, int]:
    return dict.fromkeys([*OF_PARAMETERS, *OF_OUTPUTS], 0) | dict.fromkeys(series, 1) | {"histograms": 1}


@pytest.mark.parametrize(
    ("series", "copies"),
    [
        *((("gradients",), 1), (("parameters",), 1), (("updates",), 1), (("training_activations",), 1)),
        (("activation_gradients",), 2),  # measured together with the outputs
        ((*OF_PARAMETERS, *OF_OUTPUTS), 5),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else None,
)
def test_a_recorded_step_makes_one_copy_for_each_series(tmp_path: Path, series: tuple[str, ...], copies: int) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Scope(model, tmp_path, strict=True) as scope, Traffic() as traffic:
        scope.reference()
        scope.watch(optimizer, every=every(*series))
        train(model, optimizer, 3)
        assert (traffic.to_host, traffic.to_device_waiting) == (3 * copies, 0)


def test_a_learning_rate_on_the_device_is_fetched_with_one_copy_more(tmp_path: Path) -> None:
    class Resting(torch.optim.SGD):  # the real one would fetch its learning rate itself
        def step(self, closure: Any = None) -> None:
            pass

    model = network()
    optimizer = Resting(model.parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = torch.empty((), device="meta")
    with Scope(model, tmp_path, strict=True) as scope, Traffic() as traffic:
        scope.watch(optimizer, every=every("updates"))
        train(model, optimizer, 3)
        assert (traffic.to_host, traffic.to_device_waiting) == (6, 0)


def test_explicit_records_make_one_copy_each(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.empty(2, 1, 8, 8, device="meta")).sum().backward()
    with Scope(model, tmp_path, strict=True) as scope, Traffic() as traffic:
        scope.gradients(0)
        scope.parameters(0)
        with scope.step(optimizer, 1):
            optimizer.step()
        assert (traffic.to_host, traffic.to_device_waiting) == (5, 0)


def test_a_step_at_which_nothing_is_due_makes_no_copy_and_no_operation(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Traffic() as plain:
        train(model, optimizer, 5)
    with Scope(model, tmp_path, strict=True) as scope, Traffic():
        scope.watch(optimizer, every=100)
        train(model, optimizer, 1)
        with Traffic() as watched:
            train(model, optimizer, 5)
    assert plain.operations > 100
    assert (watched.operations, watched.to_host, watched.to_device_waiting) == (plain.operations, 0, 0)


@pytest.mark.parametrize("histogram", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_layers_of_any_number_make_one_copy(histogram: bool, dtype: torch.dtype) -> None:
    modules = {"conv": nn.Conv2d(1, 1, 1), "sigmoid": nn.Sigmoid(), "relu6": nn.ReLU6()}
    with Traffic() as traffic:
        rows = LayerRows(with_histogram=histogram, with_units=True)
        for key, module in modules.items():
            for _ in range(2):
                rows.add(key, torch.empty(4, 8, 16, 16, dtype=dtype, device="meta"), module=module, channels=1)
        assert traffic.to_host == 0
        pending = Pending(rows, lambda: rows.result(list(modules)))
        assert pending.result().layers == ("conv", "sigmoid", "relu6")
        assert (traffic.to_host, traffic.to_device_waiting) == (1, 0)


def test_on_cuda_the_copy_is_asynchronous_and_only_the_result_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    class Event:
        def record(self, stream: str) -> None:
            happened.append(f"recorded on {stream}")

        def query(self) -> bool:
            return False

        def synchronize(self) -> None:
            happened.append("waited")

    def copy(host: torch.Tensor, source: torch.Tensor, *, non_blocking: bool) -> None:
        assert (host.device.type, source.device.type, non_blocking) == ("cpu", "cuda", True)
        happened.append("copied")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"the stream of {device}")
    monkeypatch.setattr(torch.Tensor, "copy_", copy)
    with FakeTensorMode():  # its tensors may say that they lie on a device that is not there
        numbers = torch.empty(3, dtype=torch.float64, device="cuda:0")
        with torch.device("meta"):  # whatever the user's default is
            transfer = send([numbers, numbers])
        assert happened == ["copied", "recorded on the stream of cuda:0"]
        assert not transfer.arrived
        with pytest.raises(RuntimeError, match="numpy"):  # fake tensors have no values
            transfer.result()
        assert happened[2:] == ["waited"]


def test_waiting_would_be_seen() -> None:
    with Traffic() as traffic:
        numbers = torch.empty(3, device="meta")
        numbers.cpu()
        torch.empty(3).copy_(numbers)
        torch.empty(3).copy_(numbers, non_blocking=True)
        assert traffic.to_host == 3
        torch.empty(3).to("meta", non_blocking=True)
        assert traffic.to_device_waiting == 0
        torch.empty(3).to("meta")
        torch.tensor([1.0], device="meta")
        assert traffic.to_device_waiting == 2
        with pytest.raises(RuntimeError, match="meta tensors"):
            float(numbers.sum())
