"""What a scope writes of attributions, surrogates and probes, and what is left when some of it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import layerscope
from layerscope import Scope, wire
from layerscope.errors import InvalidArgumentError, LayerscopeError
from layerscope.guarding import LayerscopeWarning
from probed_models import DigitsNet, Tokens

IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def run(path: Path) -> wire.Run:
    found = layerscope.read(path)["."]
    assert found.problems == ()
    return found


def failing(*_: Any) -> Tensor:
    raise ZeroDivisionError("no such thing")


def test_inputs_trust_and_names_are_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = DigitsNet()
    names = [f"digit {i}" for i in range(10)]
    with Scope(model, tmp_path, strict=True) as scope:
        scope.attributions(IMAGES, [1, 2, 3], step=5, methods=("integrated_gradients",), class_names=names)
    written = run(tmp_path)
    computed = layerscope.attribute(model, IMAGES, [1, 2, 3], method="integrated_gradients")
    maps = written.attributions["integrated_gradients"][5]
    np.testing.assert_allclose(maps.inputs[0], computed.inputs[0].sum(1), rtol=2e-3, atol=1e-6)
    assert maps.layers == {}
    assert computed.delta is not None
    np.testing.assert_allclose(maps.delta, computed.delta, atol=1e-6)
    scores = [
        "completeness",
        *(f"{kind}{of}" for kind in ("deletion", "insertion") for of in ("", "_random", "_input")),
    ]
    assert sorted(maps.trust) == sorted(scores)
    assert all(values.shape == (3,) for values in maps.trust.values())
    assert written.descriptions["probe"] == wire.SamplesBlob((wire.ProbeInput("0", "image"),), tuple(names))


def test_tokens_and_padding_are_written(tmp_path: Path) -> None:
    model, ids = Tokens(), torch.tensor([[1, 5, 3], [2, 2, 0]])
    tokens = [["you", "are", "kind"], ["thank", "you"]]
    with Scope(model, tmp_path, strict=True) as scope:
        scope.attributions({"ids": ids}, step=0, methods={"integrated_gradients": {"n_steps": 4}}, tokens=tokens)
    written = run(tmp_path)
    expected = wire.ProbeInput("ids", "text", (), (("you", "are", "kind"), ("thank", "you", "")))
    assert written.descriptions["probe"].inputs == (expected,)
    assert written.attributions["integrated_gradients"][0].inputs[0].shape == (2, 3)


def test_what_fails_keeps_nothing_else_from_being_written(tmp_path: Path) -> None:
    methods = {"mine": failing, "grad_kam": {}, "grad_cam": {}, "gradient_shap": {}, "saliency": {}, "other": failing}
    with Scope(DigitsNet(), tmp_path, strict=True) as scope:
        with pytest.raises(LayerscopeError) as error:
            scope.attributions(IMAGES, step=0, methods=methods, trust=False)
        with pytest.raises(ZeroDivisionError, match="no such thing"):
            scope.attributions(IMAGES, step=1, methods={"mine": failing, "saliency": {}})
    message = str(error.value)
    assert message.startswith("3 things failed: InvalidArgumentError: method 'grad_kam' was asked for")
    assert "gradient_shap needs background samples" in message
    assert "ZeroDivisionError: no such thing" in message  # which both functions raised: told once
    found = run(tmp_path).attributions
    assert {name: list(steps) for name, steps in found.items()} == {"grad_cam": [0], "saliency": [0, 1]}
    assert found["grad_cam"][0].trust == {}
    assert set(found["saliency"][1].trust) >= {"deletion", "insertion_random"}


def test_what_a_method_has_no_rule_for_is_written_and_another_one_offered(tmp_path: Path) -> None:
    class Norm(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / x.norm(dim=1, keepdim=True)

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), Norm(), torch.nn.GELU())
    with Scope(model, tmp_path, strict=True) as scope:
        scope.attributions(IMAGES, step=0, methods=("deep_lift", "saliency"))
    found = run(tmp_path).attributions
    (note,) = found["deep_lift"][0].notes
    assert "norm kept their derivative, having no rule. integrated_gradients adds up for any model." in note
    assert found["saliency"][0].notes == ()


def test_of_a_family_the_one_that_fails_is_told_and_the_others_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from layerscope.probing.attributions.saliency import Saliency

    monkeypatch.setattr(Saliency, "at_input", failing)
    with Scope(DigitsNet(), tmp_path) as scope, pytest.warns(LayerscopeWarning, match="ZeroDivisionError: no such"):
        scope.attributions(IMAGES, step=0, methods=("saliency", "grad_cam", "input_x_gradient"))
    assert set(run(tmp_path).attributions) == {"grad_cam", "input_x_gradient"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"trust": "deletion"},
            "trust must be True, False or a list of completeness, deletion, insertion, ran",
        ),
        ({"trust": ["deletion", "luck"]}, r"not \['deletion', 'luck'\]"),
        ({"methods": "grad_cam"}, r"methods must be a list of one or more of 'activation'.* Give \['grad_cam'\]\."),
        ({"methods": "gradcam"}, r"not 'gradcam'\. Do you mean 'grad_cam'\?"),
        ({"methods": ()}, "methods must be a list of one or more of"),
        ({"tokens": ["a"]}, "tokens were given, but no input can use them"),
    ],
)
def test_arguments_that_break_a_rule(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with Scope(DigitsNet(), tmp_path, strict=True) as scope, pytest.raises(InvalidArgumentError, match=message):
        scope.attributions(IMAGES, step=0, **options)


def test_samples_along_another_dimension_are_written_first(tmp_path: Path) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.fc = nn.LSTM(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.lstm(x)[0][-1])

    x = torch.randn(5, 2, 3)
    with Scope(Last(), tmp_path, strict=True) as scope:
        scope.attributions(x, 1, step=0, methods=("saliency",), batch_dim=1, feature_names=["a", "b", "c"])
    written = run(tmp_path)
    np.testing.assert_allclose(written.samples["probe"][0], x.transpose(0, 1), atol=2e-3)
    assert written.attributions["saliency"][0].inputs[0].shape == (2, 5, 3)
    assert written.attributions["saliency"][0].layers["lstm"].shape == (2, 5)
    assert written.descriptions["probe"].inputs[0].feature_names == ("a", "b", "c")


def test_surrogates_and_linear_probes_are_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(200, 4)
    labels = (x[:, 0] > 0).long()
    with Scope(model, tmp_path, strict=True) as scope:
        scope.linear_probes(x, labels, step=2)
        with pytest.raises(InvalidArgumentError, match="magic"):
            scope.surrogates(x, step=2, surrogates=("magic", "linear_regression", "decision_tree"), of="1")
    written = run(tmp_path)
    assert set(written.surrogates) == {"1/linear_regression", "1/decision_tree"}
    expected = layerscope.surrogate(model, x, surrogate="linear_regression", of="1")
    assert written.surrogates["1/linear_regression"][2] == expected
    probes = written.series["linear_probes"]
    assert (probes.layers, probes.statistics) == (("0", "1", "2"), ("accuracy", "majority", "held_out"))
    np.testing.assert_array_equal(probes.values[0], layerscope.linear_probes(model, x, labels).values)
