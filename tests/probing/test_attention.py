from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right
from torch.overrides import _len_torch_function_stack

from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError
from layerscope.probing.attention import attention
from probed_models import Tokens

WORDS = torch.tensor([[1, 5, 3, 19, 4], [2, 2, 0, 7, 6], [9, 8, 7, 6, 5]])
PADDING = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 1, 1, 1, 1]]).bool()
CAUSAL = nn.Transformer.generate_square_subsequent_mask(5)


def slow_softmax(query: Tensor, key: Tensor, allowed: Callable[[int, int, int, int], bool], scale: float) -> Tensor:
    """Return attention weights [samples, heads, queries, keys], number by number."""
    samples, heads, queries = query.shape[:3]
    keys = key.shape[2]
    weights = torch.zeros(samples, heads, queries, keys)
    for n in range(samples):
        for h in range(heads):
            for q in range(queries):
                shared = h // (heads // key.shape[1])  # heads of queries that share one of keys
                scores = [math.fsum((query[n, h, q] * key[n, shared, k]).tolist()) * scale for k in range(keys)]
                powers = [math.exp(score) if allowed(n, h, q, k) else 0.0 for k, score in enumerate(scores)]
                for k in range(keys):
                    weights[n, h, q, k] = powers[k] / math.fsum(powers) if any(powers) else math.nan
    return weights


def same(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == torch.float32
    assert found.device.type == "cpu"
    assert not found.requires_grad
    torch.testing.assert_close(found, expected.detach().float(), rtol=1e-5, atol=1e-6, equal_nan=True)


class Dotted(nn.Module):
    """Calls scaled_dot_product_attention on what it is given."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, value, **self.options)


class Written(nn.Module):
    """A block of a transformer as people write it by hand: softmax of four dimensions."""

    def __init__(self, softmax: Callable[[Tensor], Tensor], width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.softmax = heads, softmax
        self.qkv = nn.Linear(width, 3 * width)
        self.drop = nn.Dropout(0.5)

    def weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        split = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.softmax(split[0] @ split[1].mT / math.sqrt(split.shape[-1])), split[2]

    def forward(self, x: Tensor) -> Tensor:
        weights, values = self.weights(x)
        return (self.drop(weights).mul_(2) @ values).transpose(1, 2).flatten(2)  # what is kept must not change


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


def test_a_softmax_that_is_a_module_goes_by_its_own_name() -> None:
    torch.manual_seed(0)
    block, x = Written(nn.Softmax(dim=-1)), torch.randn(3, 5, 8)
    found = attention(nn.Sequential(block), x)
    assert list(found) == ["0.softmax"]
    same(found["0.softmax"], block.weights(x)[0])


def test_other_softmaxes_do_not_count() -> None:
    class Gating(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.softmax(1) + x.softmax(2) + x.flatten(2).softmax(-1).view_as(x) + x[None].softmax(-1)[0]

    with pytest.raises(CaptureError, match="computed none that can be seen"):
        attention(nn.Sequential(Gating(), nn.Softmax2d()), torch.randn(2, 3, 4, 5))


# --- nn.MultiheadAttention ---


def asked(module: nn.MultiheadAttention, *args: Tensor, **kwargs: Any) -> Tensor:
    """Return what the module itself says when it is asked for the weights of each head."""
    module.eval()
    return module(*args, **kwargs, need_weights=True, average_attn_weights=False)[1]


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


# --- Keys and choice ---


def test_every_call_of_a_module_has_its_key() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            once = self.attn(x, x, x)[0]
            return {"states": self.attn(once, once, once)[0]}

    torch.manual_seed(0)
    model, x = Twice().train(), torch.randn(2, 5, 8)
    found = attention(model, x)
    assert list(found) == ["attn", "attn#1"]
    once = model(x)["states"], asked(model.attn, x, x, x)  # the module is now in evaluation mode
    same(found["attn"], once[1])
    first = model.attn(x, x, x)[0]
    same(found["attn#1"], asked(model.attn, first, first, first))
    assert list(attention(model, x, layers=["attn#1"])) == ["attn#1"]


def test_of_several_attentions_in_one_call_the_first_is_kept() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            first = functional.scaled_dot_product_attention(x, x, x)
            return functional.scaled_dot_product_attention(first, x.roll(1), x)

    x = torch.randn(2, 1, 4, 8)
    found = attention(nn.Sequential(Both()), x)
    assert list(found) == ["0"]
    same(found["0"], slow_softmax(x, x, lambda *_: True, 1 / math.sqrt(8)))


def test_attention_of_the_model_itself_goes_by_its_class() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = self.fc(x)
            return functional.scaled_dot_product_attention(x, x, x)

    torch.manual_seed(0)
    model, x = Flat(), torch.randn(2, 2, 4, 8)
    hidden = model.fc(x)
    for layers in ("all", ["<Flat>"]):
        found = attention(model, x, layers=layers)
        assert list(found) == ["<Flat>"]
        same(found["<Flat>"], slow_softmax(hidden, hidden, lambda *_: True, 1 / math.sqrt(8)))


def test_windows_stand_behind_each_other_in_their_sample() -> None:
    class Windows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = x.unflatten(1, (3, 2)).flatten(0, 1)[:, None]  # three windows of two tokens
            return functional.scaled_dot_product_attention(x, x, x)

    x = torch.randn(5, 6, 8)
    windows = x.reshape(15, 1, 2, 8)
    expected = slow_softmax(windows, windows, lambda *_: True, 1 / math.sqrt(8))
    same(attention(nn.Sequential(Windows()), x, max_samples=2)["0"], expected[:6])


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3, enable_nested_tensor=False)


def test_layers_can_be_chosen() -> None:
    model, x = encoder(), torch.randn(2, 5, 8)
    every = attention(model, x)
    for layers, keys in (
        (["layers.1.self_attn"], ["layers.1.self_attn"]),
        (["layers.[02].*"], ["layers.0.self_attn", "layers.2.self_attn"]),
        ([], []),
    ):
        found = attention(model, x, layers=layers)
        assert list(found) == keys
        for key in keys:
            assert torch.equal(found[key], every[key])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layers": ["layers.0.attn"]}, LayerNotFoundError, r"'layers.0.attn' was asked for.* 'layers.0.self_attn'"),
        ({"layers": ["decoder.*"]}, LayerNotFoundError, r"'decoder.\*' was asked for"),
        (
            {"layers": ["layers.0", "layers.0.self_attn"]},
            CaptureError,
            r"weights of 'layers.0' were asked for, .* Choose among 'layers.0.self_attn', 'layers.1.self_attn',",
        ),
        ({"layers": ["*.norm?"]}, CaptureError, r"weights of '\*.norm\?' were asked for, .* Choose among 'layers.0"),
        ({"layers": ["layers.0.self_attn#1"]}, CaptureError, r"made no such call of 'layers.0.self_attn'"),
        ({"layers": "layers.0.self_attn"}, InvalidArgumentError, r"give \['layers.0.self_attn'\]"),
        ({"layers": "auto"}, InvalidArgumentError, r'must be "all" or a list of layer keys and patterns, .* "auto"'),
        ({"max_samples": 0}, InvalidArgumentError, r"max_samples must be 1 or more, or None for all, but it is 0"),
    ],
)
def test_errors_say_the_rule(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        attention(encoder(), torch.randn(2, 5, 8), **options)


@pytest.mark.parametrize("layers", ["all", ["0"], ["*"]])
def test_a_model_without_attention_says_what_can_be_seen(layers: Any) -> None:
    message = r'nn.MultiheadAttention, .*scaled_dot_product_attention.*FlexAttention.*attn_implementation="eager"'
    with pytest.raises(CaptureError, match=message):
        attention(nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2), layers=layers)


# --- The model is left as it was found ---


class Observed(nn.Module):
    """Each kind of attention, with dropout and BatchNorm; fails midway when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.written = Tokens(), Written(torch.nn.Softmax(-1))
        self.bn, self.dot, self.head = nn.BatchNorm1d(8), Dotted(dropout_p=0.1), nn.Linear(8, 3)
        self.fails = False

    def forward(self, *, ids: Tensor) -> dict[str, Tensor]:
        states = self.written(self.tokens(ids=ids)["states"])
        if self.fails:
            raise ZeroDivisionError
        x = self.bn(states.mT).mT[:, None]
        return {"logits": self.head(self.dot(x, x, x)[:, 0, 0])}


def train(probe: Callable[[Observed], object]) -> list[bytes]:
    """Return the loss and all of the state of every step, also of the random numbers."""
    torch.manual_seed(0)
    model = Observed()
    model.tokens.encoder.norm1.eval().requires_grad_(False)
    optimizer = torch.optim.Adam([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1e-2)
    history: list[bytes] = []
    for step in range(6):
        loss = functional.cross_entropy(model(ids=torch.randint(20, (4, 5)))["logits"], torch.randint(3, (4,)))
        if step % 2 == 0:  # while a backward waits, and the gradients of the step before are there
            probe(model)
        optimizer.zero_grad()
        loss.backward()
        if step % 2 == 1:
            probe(model)
        optimizer.step()
        tensors = [loss, torch.get_rng_state(), *model.state_dict().values(), *(p.grad for p in model.parameters())]
        history += [b"" if tensor is None else tensor.detach().numpy().tobytes() for tensor in tensors]
    return history


def left(model: Observed) -> list[Any]:
    modules = list(model.modules())
    return [
        [module.training for module in modules],
        [(len(module._forward_hooks), len(module._forward_pre_hooks), list(vars(module))) for module in modules],
        [(parameter.requires_grad, id(parameter.grad), parameter._version) for parameter in model.parameters()],
        (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled(), _len_torch_function_stack()),
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_training_is_the_same_bit_by_bit(fails: bool) -> None:
    probed: list[list[str]] = []

    def probe(model: Observed) -> None:
        before = left(model)
        if fails:
            model.fails = True
            with pytest.raises(ZeroDivisionError):
                attention(model, {"ids": WORDS})
            model.fails = False
            probed.append([])
        else:
            probed.append(list(attention(model, {"ids": WORDS})))
        assert left(model) == before

    assert train(probe) == train(lambda model: None)
    keys = [] if fails else ["tokens.encoder.self_attn", "written.softmax", "dot"]
    assert probed == [keys] * 6


def test_what_was_found_stays_when_the_inputs_change() -> None:
    weights = torch.rand(1, 1, 2, 3).softmax(-1)

    class Passing(nn.Module):
        def forward(self, scores: Tensor) -> Tensor:
            return torch.softmax(scores, -1).zero_()

    found = attention(nn.Sequential(Passing()), weights.log())
    same(found["0"], weights)
