"""Every example runs and leaves what it promises, and so does the code in the README."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

import layerscope

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def _learned(run: layerscope.Run) -> None:
    _, loss = run.scalars["loss"]
    assert loss[-1] < loss[0] / 2


def _first_steps(run: layerscope.Run) -> None:
    _learned(run)
    assert {"gradients", "activations"} <= run.series.keys()
    assert set(run.attributions) == {"grad_cam", "gradient_x_activation"}
    assert run.maximizations


def _fine_tuning(run: layerscope.Run) -> None:
    """The last layer alone moves at first, and what is looked at changes in both stages."""
    _learned(run)
    parameters = run.series["parameters"]
    trainable, distance = (parameters.values[:, :, parameters.statistics.index(n)] for n in ("trainable", "distance"))
    late = parameters.steps >= 50
    for layer, since in {
        "_conv_stem.weight": late,
        "_blocks.7._depthwise_conv.weight": late,
        "_fc.weight": late | True,
    }.items():
        row = parameters.layers.index(layer)
        np.testing.assert_array_equal(trainable[:, row], since)
        np.testing.assert_array_equal(distance[:, row] > 0, since & (parameters.steps > since.argmax() * 10))
    before, between, after = (run.attributions["integrated_gradients"][step] for step in (0, 50, 100))
    assert before.probabilities.mean() < 0.2
    assert after.probabilities.mean() > 0.7
    for one, other in ((before, between), (between, after)):
        assert np.corrcoef(one.inputs[0][0].ravel(), other.inputs[0][0].ravel())[0, 1] < 0.9
    assert list(run.attributions["grad_cam"]) == [0, 50, 100]
    assert run.findings == ()


def _breast_cancer(run: layerscope.Run) -> None:
    _learned(run)
    assert set(run.attributions) == {"integrated_gradients", "kernel_shap", "lime"}
    for maps in run.attributions.values():
        assert list(maps) == [20, 100, 300]
        trust = maps[300].trust
        assert trust["deletion"].mean() < trust["deletion_random"].mean()
    fitted = ("logistic_regression", "decision_tree", "random_forest")
    assert set(run.surrogates) == {f"inputs/{surrogate}" for surrogate in fitted}
    assert all(steps[300].score > 0.7 for steps in run.surrogates.values())
    probes = run.series["linear_probes"]
    accuracy, majority = (probes.values[-1, :, probes.statistics.index(n)] for n in ("accuracy", "majority"))
    assert (accuracy > majority + 0.2).all()


def _toxic_comments(run: layerscope.Run) -> None:
    """The published network's scores, and the words that people would name."""
    told = ("integrated_gradients", "kernel_shap", "occlusion", "gradient_x_activation")
    assert set(run.attributions) == set(told)
    (probe,) = run.descriptions["probe"].inputs
    assert probe.tokens is not None
    for method in told:
        maps = run.attributions[method][0]
        np.testing.assert_allclose(maps.probabilities[[0, 1]], [0.989, 0.002], atol=0.005)
        strongest = [probe.tokens[sample][maps.inputs[0][sample].argmax()] for sample in (0, 2, 4, 5)]
        assert strongest[0] == strongest[3] == "stupid"
        assert strongest[1] == "kill"
        assert strongest[2] in ("crap", "idiot")
        assert maps.trust["deletion"].mean() < maps.trust["deletion_random"].mean() - 0.1
    for method in ("integrated_gradients", "kernel_shap"):
        assert abs(run.attributions[method][0].delta).max() < 0.1
    assert run.attributions["gradient_x_activation"][0].layers["lstm"].shape == (6, 12)


def _imagenet(run: layerscope.Run) -> None:
    """What the photographs show, found where it is on them."""
    coffee = run.attributions["kernel_shap"][0].inputs[0][0]
    cup, flower = np.zeros((2, *coffee.shape), bool)
    cup[5:125, 45:185] = True
    flower[50:165, 35:180] = True
    for method in ("kernel_shap", "deep_lift", "integrated_gradients"):
        maps = run.attributions[method][0]
        assert maps.targets.tolist() == [967, 285, 985]  # espresso, Egyptian cat, daisy
        assert maps.probabilities[0] > 0.9
        assert maps.trust["deletion_input"].mean() > maps.trust["deletion"].mean()
    trust = run.attributions["kernel_shap"][0].trust
    assert trust["deletion"].mean() < trust["deletion_random"].mean()
    assert trust["insertion"].mean() > trust["insertion_random"].mean() + 0.1
    for sample, there in ((0, cup), (2, flower)):
        supporting = run.attributions["kernel_shap"][0].inputs[0][sample].clip(0).astype(np.float64)
        assert supporting[there].sum() / supporting.sum() > 1.5 * there.mean()
    assert abs(run.attributions["deep_lift"][0].delta).max() < 1e-4
    cams = run.attributions["grad_cam"][0].layers
    assert [cams[f"_blocks.{i}"].shape for i in (1, 15)] == [(3, 56, 56), (3, 7, 7)]
    found = run.maximizations[0]
    assert [unit.channel for unit in found.units] == [985, 967, 281]
    assert [best[0].sample for best in found.top_samples] == [2, 0, 1]  # flower, coffee, cat
    assert all(reached > best[0].objective for reached, best in zip(found.objectives, found.top_samples, strict=True))
    assert run.weights["parameters"][0]["_conv_stem.weight"]["values"].shape == (32, 3, 3, 3)
    activations = run.series["activations"]
    silent = activations.values[0, :, activations.statistics.index("zero_fraction")]
    assert silent[activations.layers.index("_swish#1")] > 0.5  # ReLU6
    assert silent[activations.layers.index("_bn1")] < 0.01


def _sentence_embeddings(run: layerscope.Run) -> None:
    """The topics that people would name, and for the words that people would name."""
    tokens = run.descriptions["probe"].inputs[0].tokens
    assert tokens is not None
    for method in ("integrated_gradients", "kernel_shap"):
        maps = run.attributions[method][0]
        assert maps.targets.tolist() == [0, 1, 2, 0]
        strongest = [words[scores.argmax()] for words, scores in zip(tokens, maps.inputs[0], strict=True)]
        assert strongest == ["kitten", "bank", "fry", "vet"]
        assert abs(maps.delta).max() < 0.05
        assert maps.trust["deletion"].mean() < maps.trust["deletion_random"].mean() - 0.1
    gradient = run.attributions["gradient_x_activation"][0]
    assert gradient.trust["deletion"].mean() > gradient.trust["deletion_random"].mean()
    assert gradient.layers["encoder.encoder.layer.5"].shape == (4, 12)
    weights = run.attention["probe"][0]["encoder.encoder.layer.5.attention.self"]["values"]
    np.testing.assert_allclose(weights.astype(np.float32).sum(3), 1, atol=5e-3)
    found = run.maximizations[0]
    for words, wanted in zip(found.tokens, ({"pets", "animals"}, {"money", "finances"}, {"cooking"}), strict=True):
        assert wanted & set(words)
    real = [best[0].objective for best in found.top_samples]
    assert all(objective > 2 * most for objective, most in zip(found.objectives, real, strict=True))


LEFT = {
    "breast_cancer.py": _breast_cancer,
    "first_steps.py": _first_steps,
    "fine_tuning.py": _fine_tuning,
    "imagenet.py": _imagenet,
    "sentence_embeddings.py": _sentence_embeddings,
    "toxic_comments.py": _toxic_comments,
}
"""Example -> what checks that it left what it promises."""
PRINTED = {"sentence_embeddings.py": "similarities 0.666, 0.105, 0.141\n"}
"""Example -> what it prints: here the numbers in the documentation of the published model."""


def test_every_example_has_a_check() -> None:
    assert LEFT.keys() == {example.name for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, example], cwd=tmp_path, capture_output=True, check=False, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert "LayerscopeWarning" not in result.stderr
    assert result.stdout.endswith(PRINTED.get(example.name, ""))
    (run,) = layerscope.read(tmp_path / "runs").values()
    assert run.problems == ()
    assert run.graph is not None
    LEFT[example.name](run)


def test_the_code_in_the_readme_runs_and_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's block in a training loop as a user has it, with everything that it names defined before; and the one
    that reads back what that recorded."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    block, reading = (next(b for b in blocks if needle in b) for needle in ("scope.watch(", "layerscope.read("))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    layers = {"conv1": torch.nn.Conv2d(1, 4, 3), "flatten": torch.nn.Flatten(), "fc": torch.nn.Linear(144, 3)}
    model = torch.nn.Sequential(OrderedDict(layers))
    batch = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    with SummaryWriter("runs/digits") as writer:
        names = {
            "model": model,
            "writer": writer,
            "loader": [batch] * 101,
            "criterion": torch.nn.CrossEntropyLoss(),
            "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
            "probe_x": batch[0],
            "probe_y": batch[1],
        }
        exec(block, names)
    assert len([line for line in block.splitlines() if line]) == 12
    exec(reading, names)
    run, ratios = names["run"], names["ratios"]
    assert ratios.shape == (3,)
    assert ((ratios > 1e-5) & (ratios < 0.1)).all()
    assert run.graph is not None
    assert list(run.series["gradients"].steps) == list(range(101))
    assert {method: list(maps) for method, maps in run.attributions.items()} == {
        "grad_cam": [0, 100],
        "gradient_x_activation": [0, 100],
    }
    assert len(run.scalars["loss"][0]) == 101
