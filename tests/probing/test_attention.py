from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right

from attending_models import WORDS, Dotted, Written, asked, same, slow_softmax
from layerscope.errors import CaptureError
from layerscope.probing.attention import attention

PADDING = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 1, 1, 1, 1]]).bool()
CAUSAL = nn.Transformer.generate_square_subsequent_mask(5)


# --- scaled_dot_product_attention ---

ALLOWED_BOOL = torch.tensor([[1, 1, 0, 1, 0, 1], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]).bool()
ALLOWED = {
    "all": ({}, lambda n, h, q, k: True),
    "causal": ({"is_causal": True}, lambda n, h, q, k: k <= q),
    "lower right": ({"attn_mask": causal_lower_right(4, 6)}, lambda n, h, q, k: k <= q + 2),
    "bool": ({"attn_mask": ALLOWED_BOOL}, lambda n, h, q, k: bool(ALLOWED_BOOL[q, k])),  # of query 2, nothing
    "float": (
        {"attn_mask": torch.zeros(4, 6).masked_fill(~ALLOWED_BOOL, -torch.inf)},
        lambda n, h, q, k: bool(ALLOWED_BOOL[q, k]),
    ),
    "of each sample": (
        {"attn_mask": (torch.arange(6) < torch.tensor([6, 2, 3])[:, None])[:, None, None]},
        lambda n, h, q, k: k < (6, 2, 3)[n],
    ),
    "of each head": (
        {"attn_mask": (torch.arange(6) != torch.arange(4)[:, None])[None, :, None]},
        lambda n, h, q, k: k != h,
    ),
}


@pytest.mark.parametrize("case", ALLOWED)
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("max_samples", [2, None])
def test_scaled_dot_product(case: str, scale: float | None, max_samples: int | None) -> None:
    torch.manual_seed(0)
    options, allowed = ALLOWED[case]
    query, key, value = torch.randn(3, 4, 4, 8), torch.randn(3, 4, 6, 8), torch.randn(3, 4, 6, 5)
    model = Dotted(**options, scale=scale, dropout_p=0.5)
    found = attention(model, (query, key, value), max_samples=max_samples)
    assert list(found) == ["<Dotted>"]
    expected = slow_softmax(query, key, allowed, scale or 1 / math.sqrt(8))
    same(found["<Dotted>"], expected[:max_samples])


def test_heads_that_share_keys() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(2, 6, 4, 8), torch.randn(2, 2, 5, 8)
    found = attention(Dotted(enable_gqa=True), (query, key, key))["<Dotted>"]
    same(found, slow_softmax(query, key, lambda *_: True, 1 / math.sqrt(8)))


def test_dimensions_of_the_queries() -> None:
    """[samples, queries, features] is one head; further dimensions of samples stand one behind the other."""
    torch.manual_seed(0)
    query, key = torch.randn(6, 1, 4, 8), torch.randn(6, 1, 5, 8)
    expected = slow_softmax(query, key, lambda *_: True, 1 / math.sqrt(8))
    same(attention(Dotted(), (query[0, 0], key[0, 0], key[0, 0]))["<Dotted>"], expected[:1])
    same(attention(Dotted(), (query[:, 0], key[:, 0], key[:, 0]))["<Dotted>"], expected[:4])
    nested = [tensor.unflatten(0, (3, 2)) for tensor in (query, key, key)]
    same(attention(Dotted(), tuple(nested), max_samples=2)["<Dotted>"], expected[:4])


def test_half_precision_is_computed_in_float32() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 3, 8).bfloat16(), torch.randn(2, 1, 3, 8).bfloat16()
    expected = slow_softmax(query.float(), key.float(), lambda *_: True, 1 / math.sqrt(8))
    same(attention(Dotted(), (query, key, key))["<Dotted>"], expected)


# --- softmax ---

SOFTMAXES: dict[str, Callable[[Tensor], Tensor]] = {
    "torch.softmax": lambda scores: torch.softmax(scores, -1),
    "by keyword": lambda scores: torch.softmax(input=scores, dim=3),
    "method": lambda scores: scores.softmax(dim=-1),
    "functional": lambda scores: functional.softmax(scores, 3, dtype=torch.float32),
    "special": lambda scores: torch.special.softmax(scores, -1),
}


@pytest.mark.parametrize("kind", SOFTMAXES)
def test_a_softmax_by_hand(kind: str) -> None:
    torch.manual_seed(0)
    block, x = Written(SOFTMAXES[kind]), torch.randn(3, 5, 8)
    found = attention(nn.Sequential(block, nn.Linear(8, 2), nn.Softmax(-1)), x)
    assert list(found) == ["0"]  # neither the dropout of weights, nor the softmax of classes
    q, k = block.qkv(x)[..., :8].unflatten(-1, (2, 4)), block.qkv(x)[..., 8:16].unflatten(-1, (2, 4))
    same(found["0"], slow_softmax(q.transpose(1, 2), k.transpose(1, 2), lambda *_: True, 0.5))


def made_on_the_fly(scores: Tensor) -> Tensor:
    return nn.Softmax(dim=3)(scores)


@pytest.mark.parametrize("softmax", [nn.Softmax(dim=-1), made_on_the_fly])
def test_a_softmax_that_is_a_module_belongs_to_the_layer_around_it(softmax: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    block, x = Written(softmax), torch.randn(3, 5, 8)
    found = attention(nn.Sequential(block), x)
    assert list(found) == ["0"]
    same(found["0"], block.weights(x)[0])


def test_other_softmaxes_do_not_count() -> None:
    class Gating(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.softmax(1) + x.softmax(2) + x.flatten(2).softmax(-1).view_as(x) + x[None].softmax(-1)[0]

    with pytest.raises(CaptureError, match="computed none that can be seen"):
        attention(nn.Sequential(Gating(), nn.Softmax2d()), torch.randn(2, 3, 4, 5))


# --- nn.MultiheadAttention ---


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "padding": {"key_padding_mask": PADDING},
    "causal": {"attn_mask": CAUSAL, "is_causal": True},
    "causal and padding": {"attn_mask": CAUSAL.isinf(), "is_causal": True, "key_padding_mask": PADDING},
    "of each head": {"attn_mask": torch.linspace(-2, 2, 3 * 2 * 25).sin().view(6, 5, 5)},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("made", [{}, {"kdim": 6, "vdim": 7}, {"add_bias_kv": True, "add_zero_attn": True}])
def test_multihead_attention(options: str, need_weights: bool, batch_first: bool, made: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=batch_first, **made)
    arguments = [torch.randn(3, 5, size) for size in (8, made.get("kdim", 8), made.get("vdim", 8))]
    if not batch_first:
        arguments = [tensor.transpose(0, 1) for tensor in arguments]
    given = dict(zip(("query", "key", "value"), arguments, strict=True)) | OPTIONS[options]
    found = attention(module, given | {"need_weights": need_weights}, max_samples=2, batch_dim=int(not batch_first))
    assert list(found) == ["<MultiheadAttention>"]
    expected = asked(module, *arguments, **OPTIONS[options])
    same(found["<MultiheadAttention>"], expected[:2])
    assert expected.shape == (3, 2, 5, 5 if not made.get("add_bias_kv") else 7)


def test_multihead_attention_of_one_sequence() -> None:
    torch.manual_seed(0)
    module, x = nn.MultiheadAttention(8, 2), torch.randn(5, 8)
    found = attention(module, {"query": x, "key": x, "value": x, "key_padding_mask": PADDING[1]}, max_samples=1)
    expected = asked(module, x, x, x, key_padding_mask=PADDING[1])
    assert expected.shape == (2, 5, 5)
    same(found["<MultiheadAttention>"], expected[None])


def test_a_fully_masked_query_has_no_weights() -> None:
    module, x = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(2, 5, 8)
    given = {"query": x, "key": x, "value": x, "key_padding_mask": torch.tensor([[False] * 5, [True] * 5])}
    for need_weights in (False, True):
        found = attention(module, given | {"need_weights": need_weights})["<MultiheadAttention>"]
        torch.testing.assert_close(found[0].sum(-1), torch.ones(2, 5))
        assert found[1].isnan().all()


def test_every_layer_of_an_encoder() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True)
    encoder, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True), torch.randn(3, 5, 8)
    found = attention(encoder, {"src": x, "src_key_padding_mask": PADDING})
    assert list(found) == ["layers.0.self_attn", "layers.1.self_attn"]
    encoder.eval()
    masks = {"key_padding_mask": PADDING}
    same(found["layers.0.self_attn"], asked(encoder.layers[0].self_attn, x, x, x, **masks))
    hidden = encoder.layers[0](x, src_key_padding_mask=PADDING)  # gradients are on: no fused path
    same(found["layers.1.self_attn"], asked(encoder.layers[1].self_attn, hidden, hidden, hidden, **masks))


def test_attention_to_another_sequence() -> None:
    torch.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    source, target = torch.randn(3, 6, 8), torch.randn(3, 5, 8)
    found = attention(model, {"src": source, "tgt": target, "tgt_mask": CAUSAL, "tgt_is_causal": True})
    shapes = {key: tuple(weights.shape) for key, weights in found.items()}
    assert shapes == {
        "encoder.layers.0.self_attn": (3, 2, 6, 6),
        "decoder.layers.0.self_attn": (3, 2, 5, 5),
        "decoder.layers.0.multihead_attn": (3, 2, 5, 6),
    }
    decoder = model.decoder.layers[0]
    same(
        found["decoder.layers.0.self_attn"],
        asked(decoder.self_attn, target, target, target, attn_mask=CAUSAL, is_causal=True),
    )
    assert found["decoder.layers.0.self_attn"].triu(1).count_nonzero() == 0


# --- Transformers ---


def small(name: str, implementation: str) -> nn.Module:
    import transformers

    torch.manual_seed(0)
    common: dict[str, Any] = {"vocab_size": 20, "attn_implementation": implementation}
    if name == "bert":
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 16}
        return transformers.BertModel(transformers.BertConfig(**common, **sizes))
    if name == "llama":  # two heads of queries share one of keys
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 16}
        return transformers.LlamaModel(transformers.LlamaConfig(**common, **sizes, num_key_value_heads=2))
    return transformers.GPT2Model(transformers.GPT2Config(**common, n_embd=16, n_layer=2, n_head=4, n_positions=8))


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("bert", ["encoder.layer.0.attention.self", "encoder.layer.1.attention.self"]),
        ("gpt2", ["h.0.attn", "h.1.attn"]),
        ("llama", ["layers.0.self_attn", "layers.1.self_attn"]),
    ],
)
def test_transformers(name: str, keys: list[str], implementation: str) -> None:
    inputs = {"input_ids": WORDS, "attention_mask": (~PADDING).long()}
    found = attention(small(name, implementation).train(), inputs)
    assert list(found) == keys
    expected = small(name, "eager").eval()(**inputs, output_attentions=True).attentions
    for weights, layer in zip(found.values(), expected, strict=True):
        assert layer.shape == (3, 4, 5, 5)
        same(weights, layer)
