"""What a scope records of samples as points, and gives to TensorBoard's Projector."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import layerscope
from layerscope import Scope, wire
from layerscope.errors import InvalidArgumentError, LayerNotFoundError
from layerscope.guarding import LayerscopeWarning


class Words(nn.Module):
    """Tokens [batch, length] -> scores of three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(6, 4, padding_idx=0), nn.Linear(4, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.words(tokens).mean(1))


@pytest.fixture
def model() -> Words:
    torch.manual_seed(0)
    return Words()


TOKENS = torch.tensor([[1, 2, 0], [5, 5, 3], [2, 0, 0], [4, 1, 1], [3, 2, 1]])
LABELS = torch.tensor([0, 2, 0, 1, 2])


def test_points_are_written_with_their_classes_and_do_not_jump(model: Words, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        for step in (0, 10):
            scope.embeddings(TOKENS, LABELS, step=step, samples="sentences", class_names=("a", "b", "c"))
            with torch.no_grad():
                model.head.weight.mul_(-1)  # the axes of principal components would turn round with it
                model.head.bias.mul_(-1)
    run = layerscope.read(tmp_path)["."]
    assert run.problems == ()
    assert list(run.embeddings) == ["sentences"]
    assert list(run.embeddings["sentences"]) == [0, 10]
    before, after = (run.embeddings["sentences"][step]["head"]["values"] for step in (0, 10))
    features = layerscope.embeddings(Words().eval(), TOKENS, layers=["head"])["head"]
    assert before.shape == features.points.shape == (5, 3)
    # Mirrored features, turned onto those before: the same points.
    np.testing.assert_allclose(after, before, atol=1e-3)
    assert run.descriptions["sentences"].class_names == ("a", "b", "c")


def test_points_are_those_of_the_function_beneath(model: Words, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.embeddings(TOKENS, step=3)
    written = layerscope.read(tmp_path)["."].embeddings["probe"][3]
    found = layerscope.embeddings(model, TOKENS)
    assert list(written) == list(found) == ["words", "head"]
    for layer, embedding in found.items():
        np.testing.assert_allclose(written[layer]["values"], embedding.points, atol=1e-3)
        np.testing.assert_allclose(written[layer]["explained"], embedding.explained, atol=1e-6)


def test_the_projector_gets_features_with_labels_and_words_of_an_embedding(model: Words, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.attributions(
            TOKENS, step=7, methods=["gradient_x_activation"], tokens=["", "so", "it", "goes", "on", "?"]
        )
        scope.embeddings(TOKENS, LABELS, step=7, projector=["head", "words"])
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_name: "head:00007"' in config
    features = np.loadtxt(tmp_path / "00007" / "head" / "tensors.tsv")
    np.testing.assert_allclose(
        features, layerscope.embeddings(model, TOKENS, layers=["head"])["head"].features, rtol=1e-5
    )
    assert (tmp_path / "00007" / "head" / "metadata.tsv").read_text().split() == ["0", "2", "0", "1", "2"]
    rows = np.loadtxt(tmp_path / "00007" / "words" / "tensors.tsv")
    np.testing.assert_allclose(rows, model.words.weight.detach()[1:], rtol=1e-5)
    assert (tmp_path / "00007" / "words" / "metadata.tsv").read_text().split() == ["so", "it", "goes", "on", "?"]


def test_the_projector_gets_layers_that_are_not_shown_and_classes_by_name(model: Words, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.embeddings(
            TOKENS, LABELS, step=1, layers=["head"], projector=["words"], class_names=["one", "two", "three"]
        )
        scope.embeddings(TOKENS, LABELS, step=2, layers=["head"], projector=True, class_names=["one", "two", "three"])
    words = np.loadtxt(tmp_path / "00001" / "words" / "tensors.tsv")
    np.testing.assert_allclose(words, model.words.weight.detach()[1:], rtol=1e-5)
    assert not (tmp_path / "00002" / "words").exists()
    names = (tmp_path / "00002" / "head" / "metadata.tsv").read_text().split()
    assert names == ["one", "three", "one", "two", "three"]


def test_labels_are_lines_of_one_file_whatever_they_hold(model: Words, tmp_path: Path) -> None:
    names = ["cat\nX", "\ttab\x1b", " "]
    with Scope(model, tmp_path, strict=True) as scope:
        scope.embeddings(TOKENS, LABELS, step=2, layers=["head"], projector=True, class_names=names)
    lines = (tmp_path / "00002" / "head" / "metadata.tsv").read_text().splitlines()
    told = [r"cat\nX", r"\ttab\x1b", "' '"]
    assert lines == [told[label] for label in LABELS]


def test_the_projector_keeps_probe_sets_apart(model: Words, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.embeddings(TOKENS, step=0, layers=["head"], projector=True)
        scope.embeddings(TOKENS[:3], step=0, layers=["head"], projector=True, samples="../held out")
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_name: "head:00000"' in config
    assert 'tensor_name: "../held out/head:00000"' in config
    files = list(tmp_path.rglob("tensors.tsv"))
    assert sorted(len(np.loadtxt(path)) for path in files) == [3, 5]
    assert not list(tmp_path.parent.glob("held out*"))


def test_points_that_are_no_numbers_turn_none(model: Words, tmp_path: Path) -> None:
    weight = model.head.weight.detach().clone()
    with Scope(model, tmp_path, strict=True) as scope:
        for step, factor in ((0, 1.0), (1, float("nan")), (2, -1.0)):
            with torch.no_grad():
                model.head.weight.copy_(weight * factor)
                model.head.bias.zero_()
            scope.embeddings(TOKENS, step=step, layers=["head"])
    points = [held["head"]["values"] for held in layerscope.read(tmp_path)["."].embeddings["probe"].values()]
    assert np.isnan(points[1]).all()
    np.testing.assert_allclose(points[2], points[0], atol=1e-3)  # turned to match those before


def test_what_cannot_be_is_said_and_the_points_are_there_all_the_same(model: Words, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        with pytest.raises(InvalidArgumentError, match=r"projector must be a list of names, .*; give \['head'\]"):
            scope.embeddings(TOKENS, step=2, projector="head")
        with pytest.raises(
            InvalidArgumentError, match=r"surrogates must be a list of names, .*; give \['decision_tree'\]"
        ):
            scope.surrogates(TOKENS, step=2, surrogates="decision_tree")
        with pytest.raises(InvalidArgumentError, match=r"quantities, but the inputs are integers .* Give of="):
            scope.surrogates(TOKENS, step=2)
        with pytest.raises(LayerNotFoundError, match="'nowhere' was asked for"):
            scope.embeddings(TOKENS, step=0, projector=["nowhere"])
        with pytest.raises(InvalidArgumentError, match=r"labels must be 5 integers, .* but they are int64 \[3\]"):
            scope.embeddings(TOKENS, LABELS[:3], step=1)
    assert list(layerscope.read(tmp_path)["."].embeddings["probe"]) == [0]


def test_names_of_the_scores_hold_for_surrogates_and_units_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 3)), torch.randn(80, 4)
    names = np.array(["ant", "bee", "cat"])  # as scikit-learn gives them
    with Scope(model, tmp_path, strict=True) as scope:
        scope.attributions(x, step=0, methods=("saliency",), trust=False, class_names=names)
        scope.surrogates(x, step=0, surrogates=["linear_regression", "decision_tree"])
        scope.surrogates(x, step=1, output_names=["a", "b", "c"])
        scope.surrogates(x, step=2, target=lambda scores: scores[:, :2])
        scope.maximize(step=0, layers=["0"], channels=3, steps=1)
    run = layerscope.read(tmp_path)["."]
    assert run.surrogates["inputs/linear_regression"][0].output_names == ("ant", "bee", "cat")
    trees = run.surrogates["inputs/decision_tree"]
    assert [trees[step].output_names for step in (0, 1, 2)] == [
        ("ant", "bee", "cat"),
        ("a", "b", "c"),
        ("target 0", "target 1"),
    ]
    assert run.descriptions["probe"].class_names == ("ant", "bee", "cat")


def test_names_that_are_not_as_many_as_the_classes_are_told_once_and_not_used_elsewhere(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 3)), torch.randn(80, 4)
    with warnings.catch_warnings(record=True) as caught, Scope(model, tmp_path, strict=True) as scope:
        warnings.simplefilter("always")
        for step in (0, 1):
            scope.attributions(x, step=step, methods=("saliency",), trust=False, class_names=["ant", "bee"])
            scope.embeddings(x, [0, 1, 2, 3] * 20, step=step, class_names=["ant", "bee", "cat"])
            scope.surrogates(x, step=step)
        with pytest.raises(InvalidArgumentError, match=r"class_names must be a list of names, not 'ant'; give \['ant'"):
            scope.attributions(x, step=2, class_names="ant")
    said = [str(warning.message) for warning in caught]
    assert len(said) == 2
    assert "but the model gives 3 scores for each sample and there are 2 names" in said[0]
    assert "but labels go up to 3 and there are 3 names" in said[1]
    tree = layerscope.read(tmp_path)["."].surrogates["inputs/decision_tree"][1]
    assert tree.output_names == ("class 0", "class 1", "class 2")


def test_a_warning_tells_whether_all_of_it_failed_or_a_part(tmp_path: Path) -> None:
    x = torch.randn(8, 4)
    with warnings.catch_warnings(record=True) as caught, Scope(nn.Sequential(nn.Linear(4, 3)), tmp_path) as scope:
        warnings.simplefilter("always", LayerscopeWarning)
        scope.attributions(x, step=0, methods=["saliency", "gradcam"])
        scope.attributions(x, step=1, methods=["saliensy"])
        scope.surrogates(x, step=2, surrogates=["random_tree"])
    part, whole, one = [str(warning.message) for warning in caught]
    assert part.startswith(
        "Layerscope could not record all of attributions: InvalidArgumentError: method 'gradcam' was"
    )
    assert "Do you mean 'grad_cam'?" in part
    assert whole.startswith("Layerscope could not record attributions: InvalidArgumentError: method 'saliensy' was")
    assert "Do you mean 'saliency'?" in whole
    assert "but there are 'linear_regression', 'logistic_regression', 'decision_tree', 'random_forest'." in one
    found: dict[str, dict[int, wire.AttributionMaps]] = layerscope.read(tmp_path)["."].attributions
    assert {name: list(steps) for name, steps in found.items()} == {"saliency": [0]}
