"""Models of the size that people train, and how they are called: what the benches and ``write_graphs.py`` look at.

Each has two forms. On the meta device it has its true shapes and costs no memory for weights. The *narrow* form, on the
CPU, has the same modules and calls the same functions with small widths: for tools that cannot trace on meta.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.architectures.densenet import DenseNet
from bench.architectures.resnet import ResNet
from bench.architectures.sequences import BlockChain, GrowingList, Transformer, UnrolledLSTM, mlp
from bench.architectures.swin import SwinTransformer
from bench.architectures.vit import VisionTransformer

Called = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]
"""A model, and the positional and keyword arguments that it is called with."""


@dataclass(frozen=True)
class LargeModel:
    """How a model is built and called."""

    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    keywords: Callable[[], dict[str, Any]] = dict
    narrow: Callable[[], nn.Module] | None = None
    """None: it is narrow as it is."""
    parameters: int | None = None
    """Number of parameters that its authors (or torchvision and Transformers) give for the true shape."""

    def on_meta(self) -> Called:
        """Return the model in its true shape, and its inputs, on the meta device."""
        with torch.device("meta"):
            return self.build().eval(), self.inputs(), self.keywords()

    def on_cpu(self) -> Called:
        """Return the narrow model and its inputs on the CPU."""
        torch.manual_seed(0)
        return (self.narrow or self.build)().eval(), self.inputs(), self.keywords()


TOKENS = 16


def _image() -> tuple[torch.Tensor]:
    return (torch.rand(1, 3, 224, 224),)


def _small_image() -> tuple[torch.Tensor]:
    return (torch.rand(1, 3, 32, 32),)


def _tokens() -> tuple[torch.Tensor]:
    return (torch.randint(100, (1, TOKENS)),)


def _mask() -> dict[str, Any]:
    """Return a causal mask of four dimensions: one of two asks for values, which meta tensors do not have."""
    return {"attention_mask": torch.ones(1, 1, TOKENS, TOKENS, dtype=torch.bool).tril()}


def _gpt2(layers: int, heads: int, width: int) -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(n_layer=layers, n_head=heads, n_embd=width, use_cache=False))


def _llama(layers: int, heads: int, key_value_heads: int, width: int, hidden: int) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        hidden_size=width,
        intermediate_size=hidden,
        use_cache=False,
    )
    return LlamaForCausalLM(config)


def _vector() -> tuple[torch.Tensor]:
    return (torch.rand(1, 64),)


def _sequence() -> tuple[torch.Tensor]:
    return (torch.rand(1, 200, 64),)


LARGE_MODELS: dict[str, LargeModel] = {
    "resnet152": LargeModel(
        lambda: ResNet((3, 8, 36, 3)),
        _image,
        narrow=lambda: ResNet((3, 8, 36, 3), width=4),
        parameters=60_192_808,
    ),
    "vit_l": LargeModel(
        lambda: VisionTransformer(24, 16, 1024, 4096),
        _image,
        narrow=lambda: VisionTransformer(24, 4, 16, 64),
        parameters=304_326_632,
    ),
    "swin_l": LargeModel(
        lambda: SwinTransformer(192, (2, 2, 18, 2), (6, 12, 24, 48)),
        _image,
        narrow=lambda: SwinTransformer(12, (2, 2, 18, 2), (1, 2, 4, 8)),
        parameters=196_532_476,
    ),
    "densenet201": LargeModel(
        lambda: DenseNet((6, 12, 48, 32)),
        _image,
        narrow=lambda: DenseNet((6, 12, 48, 32), growth=4),
        parameters=20_013_928,
    ),
    "densenet121": LargeModel(
        lambda: DenseNet((6, 12, 24, 16)),
        _image,
        narrow=lambda: DenseNet((6, 12, 24, 16), growth=4),
        parameters=7_978_856,
    ),
    "gpt2_xl": LargeModel(
        lambda: _gpt2(48, 25, 1600),
        _tokens,
        _mask,
        narrow=lambda: _gpt2(48, 5, 20),
        parameters=1_557_611_200,
    ),
    "llama_7b": LargeModel(
        lambda: _llama(32, 32, 32, 4096, 11008),
        _tokens,
        _mask,
        narrow=lambda: _llama(32, 4, 4, 16, 32),
        parameters=6_738_415_616,
    ),
    "llama_70b": LargeModel(
        lambda: _llama(80, 64, 8, 8192, 28672),
        _tokens,
        _mask,
        narrow=lambda: _llama(80, 4, 2, 16, 32),
        parameters=68_976_648_192,
    ),
    "mlp_1000": LargeModel(lambda: mlp(1000, 64), _vector),
    "lstm_200": LargeModel(lambda: UnrolledLSTM(64), _sequence),
    "growing_list_200": LargeModel(lambda: GrowingList(200, 64), _vector),
    "growing_list_400": LargeModel(lambda: GrowingList(400, 64), _vector),
    "growing_list_800": LargeModel(lambda: GrowingList(800, 64), _vector),
    "transformer_48": LargeModel(
        lambda: Transformer(48, 512, 8), _tokens, narrow=lambda: Transformer(48, 16, 2, vocabulary=100)
    ),
    "blocks_50": LargeModel(lambda: BlockChain(50, 64), _small_image, narrow=lambda: BlockChain(50, 4)),
}
"""Name -> model."""
