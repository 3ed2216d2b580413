"""surrogate(): planted networks whose imitation is known, and twins that compute a fit or a score another way."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import layerscope
from layerscope import codec, wire
from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError, MissingExtraError
from layerscope.probing.held_out import split
from layerscope.probing.surrogates import SURROGATES
from observed_trainings import as_bytes
from probed_models import DigitsNet

SAMPLES = 200


class Rule(nn.Module):
    """Says class 1 where the second feature is more than 0.5, else class 0."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.zeros(len(x)), (x[:, 1] > 0.5).float() * 4 - 2], 1)


class Corners(nn.Module):
    """One score: 3 where both features are positive, 1 where only the first is, 0 elsewhere."""

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, 0] > 0).float() * (1 + 2 * (x[:, 1] > 0).float())


def batch(features: int = 3, samples: int = SAMPLES) -> Tensor:
    return torch.randn(samples, features, generator=torch.Generator().manual_seed(0))


def linear(features: int = 3, outputs: int = 2) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(features, outputs)


def parts(samples: int = SAMPLES, seed: int = 0) -> tuple[Any, Any]:
    return split(np.zeros(samples, np.int64), 0.25, seed)


def walk(tree: tuple[wire.TreeNode, ...], sample: np.ndarray) -> tuple[float, ...]:
    """Return what a tree says about one sample, node by node."""
    node = tree[0]
    while node.feature >= 0:
        node = tree[node.left if np.float32(sample[node.feature]) <= node.threshold else node.right]
    return node.value


def test_a_linear_network_is_imitated_exactly_and_its_weights_are_the_importances() -> None:
    model, x = linear(), batch() * torch.tensor([1.0, 10.0, 0.1])
    found = layerscope.surrogate(model, x, surrogate="linear_regression", target="scores")
    deviations = x[parts()[0]].double().std(0, correction=0)
    np.testing.assert_allclose(found.importances, (model.weight.double() * deviations).detach(), atol=1e-5)
    assert found.score == pytest.approx(1, abs=1e-9)
    assert found.training_score == pytest.approx(1, abs=1e-9)
    assert (found.score_name, found.training_samples, found.held_out_samples) == ("r2", 150, 50)
    assert found.output_names == ("output 0", "output 1")
    assert found.feature_names == ("input[0]", "input[1]", "input[2]")


def test_a_linear_regression_equals_the_normal_equations_and_r2_its_definition() -> None:
    torch.manual_seed(1)
    model, x = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)), batch(4)
    found = layerscope.surrogate(model, x, surrogate="linear_regression", penalty=7.0)
    y, (training, judging) = model(x).double().softmax(1).detach().numpy(), parts()
    seen = x.double().numpy()
    seen = (seen - seen[training].mean(0)) / seen[training].std(0)
    gram = seen[training].T @ seen[training] + 7 * np.eye(4)
    weights = np.linalg.solve(gram, seen[training].T @ (y[training] - y[training].mean(0)))
    np.testing.assert_allclose(found.importances, weights.T, rtol=1e-6)
    error = ((y[judging] - seen[judging] @ weights - y[training].mean(0)) ** 2).sum()
    assert found.score == pytest.approx(1 - error / ((y[judging] - y[judging].mean(0)) ** 2).sum(), rel=1e-6)
    assert 0 < found.score < 1


def test_a_logistic_network_is_imitated_and_the_fit_is_optimal() -> None:
    model, x = linear(3, 4), batch(samples=400)
    x = x[(model(x).detach().topk(2).values.diff().abs() > 0.2)[:, 0]][:SAMPLES]  # away from the boundaries
    found = layerscope.surrogate(model, x, surrogate="logistic_regression", penalty=0.5)
    classes = model(x).argmax(1)
    assert found.output_names == ("class 0", "class 1", "class 2", "class 3")
    training, _ = split(classes.numpy(), 0.25, 0)
    seen = x[training].double()
    seen = (seen - seen.mean(0)) / seen.std(0, correction=0)
    weights = torch.tensor(found.importances, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        summed = nn.functional.cross_entropy(seen @ weights.T + bias, classes[training], reduction="sum")
        return summed + 0.25 * weights.square().sum()

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    (gradient,) = torch.autograd.grad(loss(), weights)
    assert gradient.abs().max() < 0.05  # of a sum over 150 samples
    assert layerscope.surrogate(model, x, surrogate="logistic_regression").score == 1
    assert found.score_name == "agreement"


def test_of_two_classes_the_rows_differ_by_the_log_odds() -> None:
    found = layerscope.surrogate(linear(3, 1), batch(), surrogate="logistic_regression", output_names=["bad", "good"])
    assert found.output_names == ("bad", "good")
    bad, good = np.array(found.importances)
    np.testing.assert_array_equal(bad, -good)
    assert (np.sign(good) == np.sign(linear(3, 1).weight[0].detach().numpy())).all()
    assert found.score > 0.95


def test_a_planted_rule_is_the_tree() -> None:
    x = batch()
    found = layerscope.surrogate(
        Rule(), x, target="classes", feature_names=["age", "size", "mass"], output_names=["small", "large"]
    )
    said_large = x[:, 1] > 0.5
    training, _ = split(said_large.long().numpy(), 0.25, 0)
    count, large = len(training), int(said_large[training].sum())
    root, left, right = found.tree
    assert (root.samples, root.feature, root.left, root.right) == (count, 1, 1, 2)
    below, above = x[training][~said_large[training], 1].max(), x[training][said_large[training], 1].min()
    assert root.threshold == pytest.approx(float(below + above) / 2)
    assert root.value == pytest.approx((1 - large / count, large / count))
    assert (left, right) == (wire.TreeNode(count - large, (1, 0)), wire.TreeNode(large, (0, 1)))
    assert found.importances == ((0, 1, 0),)
    assert found.output_names == ("small", "large")
    assert found.score > 0.95


def test_a_tree_of_numbers_says_their_means_and_its_score_is_that_of_its_nodes() -> None:
    x = batch()
    found = layerscope.surrogate(Corners(), x)
    assert found.output_names == ("output",)
    assert sorted(node.value[0] for node in found.tree if node.feature < 0) == pytest.approx([0, 1, 3])
    y, judging = Corners()(x).numpy(), parts()[1]
    error = sum((walk(found.tree, x[i].numpy())[0] - y[i]) ** 2 for i in judging)
    assert found.score == pytest.approx(1 - error / ((y[judging] - y[judging].mean()) ** 2).sum())


def test_the_agreement_of_a_tree_is_that_of_its_nodes() -> None:
    torch.manual_seed(1)
    model, x = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)), batch(4)
    found = layerscope.surrogate(model, x, target="classes", max_depth=3)
    classes = model(x).argmax(1).numpy()
    _, judging = split(classes, 0.25, 0)
    same = [
        found.output_names[int(np.argmax(walk(found.tree, x[i].numpy())))] == f"class {classes[i]}" for i in judging
    ]
    assert found.score == pytest.approx(np.mean(same))
    assert 0.5 < found.score < 1


@pytest.mark.parametrize("target", [None, "classes"])
def test_a_forest_finds_the_feature_of_a_rule(target: str | None) -> None:
    found = layerscope.surrogate(Rule(), batch(), surrogate="random_forest", target=target, trees=30)
    ((age, size, mass),) = found.importances
    assert age + size + mass == pytest.approx(1)
    assert size > 0.7
    assert found.score > 0.9
    assert found.tree == ()


def test_what_is_held_out_is_never_fitted_to() -> None:
    x, (training, judging) = batch(), parts()
    spoilt = x.clone()
    spoilt[judging] = 100 * torch.rand(len(judging), 3, generator=torch.Generator().manual_seed(1))
    model = nn.Sequential(linear(3, 1), nn.Tanh())
    for name, options in (("linear_regression", {}), ("decision_tree", {}), ("random_forest", {"trees": 5})):
        first, second = (layerscope.surrogate(model, given, surrogate=name, **options) for given in (x, spoilt))
        assert (first.importances, first.tree) == (second.importances, second.tree)
        assert first.training_score == second.training_score
        assert first.score != second.score
    assert sorted([*training, *judging]) == list(range(SAMPLES))


def test_the_same_seed_gives_the_same_surrogate() -> None:
    def forest(seed: int) -> wire.Surrogate:
        return layerscope.surrogate(Corners(), batch(), surrogate="random_forest", trees=5, seed=seed)

    assert forest(3) == forest(3)
    assert forest(3).importances != forest(4).importances


def test_a_layer_is_seen_as_the_means_of_its_channels() -> None:
    torch.manual_seed(0)
    model, x = DigitsNet().eval(), torch.randn(80, 1, 8, 8)
    found = layerscope.surrogate(model, x, surrogate="linear_regression", of="block2", target="scores")
    assert found.of == "block2"
    assert found.feature_names[3] == "block2[3]"
    assert found.score == pytest.approx(1, abs=1e-6)  # behind it stand a mean over positions and a linear layer
    held: list[Tensor] = []
    model.block2.register_forward_hook(lambda module, args, output: held.append(output.detach().clone()))
    model(x)
    deviations = held[0].mean((2, 3))[parts(80)[0]].std(0, correction=0)
    np.testing.assert_allclose(found.importances, (model.fc.weight * deviations).detach(), rtol=1e-3, atol=1e-5)


def test_chunks_change_nothing_and_the_batch_may_stand_elsewhere() -> None:
    x = batch().reshape(SAMPLES, 1, 3)

    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Corners()(x[0])

    whole = layerscope.surrogate(Corners(), x[:, 0])
    moved = layerscope.surrogate(Last(), x.movedim(0, 1), batch_dim=1, samples_at_once=7)
    assert moved.tree == whole.tree
    assert moved.score == whole.score


def test_inputs_are_named_after_their_arguments_and_places() -> None:
    class Two(nn.Module):
        def forward(self, image: Tensor, age: Tensor) -> Tensor:
            return image.sum((1, 2)) + age

    image, age = torch.rand(40, 2, 2), torch.arange(40)
    by_name = layerscope.surrogate(Two(), {"image": image, "age": age})
    assert by_name.feature_names == ("image[0, 0]", "image[0, 1]", "image[1, 0]", "image[1, 1]", "age")
    assert by_name.importances[0][4] > 0.99
    assert layerscope.surrogate(Two(), (image, age)).feature_names[4] == "input 1"


def test_features_can_be_given() -> None:
    image = torch.rand(60, 1, 8, 8)

    class Brightness(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0, :4].mean((1, 2)) * 5 + 1

    halves = torch.stack([image[:, 0, :4].mean((1, 2)), image[:, 0, 4:].mean((1, 2))], 1)
    found = layerscope.surrogate(Brightness(), image, surrogate="linear_regression", features=halves)
    assert found.score == pytest.approx(1, abs=1e-6)
    assert found.feature_names == ("feature 0", "feature 1")
    assert abs(found.importances[0][1]) < 1e-4 < found.importances[0][0]


def test_targets() -> None:
    model, x = linear(3, 3), batch()

    def fitted(network: nn.Module, target: Any, surrogate: str = "linear_regression") -> wire.Surrogate:
        return layerscope.surrogate(network, x, surrogate=surrogate, target=target, penalty=1.0)

    every = fitted(model, "probabilities")
    assert every.output_names == ("class 0", "class 1", "class 2")
    np.testing.assert_allclose(fitted(model, 1).importances[0], every.importances[1], rtol=1e-9)
    assert fitted(model, 1).output_names == ("class 1",)
    already = fitted(nn.Sequential(model, nn.Softmax(1)), "probabilities")
    np.testing.assert_allclose(already.importances, every.importances, rtol=1e-5)
    by_function = fitted(model, lambda output: output[:, 1] - output[:, 0])
    assert by_function.output_names == ("target",)
    assert by_function.score > 0.999
    truth = fitted(model, lambda output: output[:, 1] > output[:, 0], "logistic_regression")
    assert truth.output_names == ("no", "yes")
    assert np.sign(truth.importances[1]).tolist() == np.sign(by_function.importances[0]).tolist()


def test_classes_that_are_never_predicted_are_left_out() -> None:
    model = linear(3, 4)
    with torch.no_grad():
        model.bias[1] = -1e6
    found = layerscope.surrogate(model, batch(), target="classes", output_names=["a", "b", "c", "d"])
    assert found.output_names == ("a", "c", "d")
    assert {len(node.value) for node in found.tree} == {3}


@pytest.mark.parametrize("name", SURROGATES)
def test_the_message_crosses_the_wire(name: str) -> None:
    found = layerscope.surrogate(linear(), batch(), surrogate=name)
    assert codec.decode_surrogate(codec.to_json(found)) == found


def test_the_model_and_the_process_are_left_as_found() -> None:
    model, x = DigitsNet().train(), torch.randn(20, 1, 8, 8)
    model.fc.weight.requires_grad_(False)
    before = {name: as_bytes(tensor) for name, tensor in model.state_dict().items()}
    given, random, numpy_random = as_bytes(x), torch.get_rng_state(), np.random.get_state()[1].tolist()
    for name in SURROGATES:
        layerscope.surrogate(model, x, surrogate=name, of="block1", target="classes" if "log" in name else 3)
    with pytest.raises(LayerNotFoundError):
        layerscope.surrogate(model, x, of="block3")
    assert {name: as_bytes(tensor) for name, tensor in model.state_dict().items()} == before
    assert as_bytes(x) == given
    assert torch.equal(torch.get_rng_state(), random)
    assert np.random.get_state()[1].tolist() == numpy_random
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["fc.weight"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"surrogate": "svm"}, r"surrogate 'svm' was asked for, but there are 'linear_regression', 'logistic"),
        (
            {"depth": 3},
            r"option 'depth' was given, but the options of 'decision_tree' are: max_depth, min_samples_leaf",
        ),
        ({"max_depth": 0}, r"max_depth must be a whole number of 1 or more, but it is 0"),
        ({"surrogate": "linear_regression", "penalty": -1}, r"penalty must be 0 or more, or None to choose one, but"),
        ({"surrogate": "logistic_regression", "penalty": 0}, r"penalty must be more than 0, but it is 0"),
        (
            {"surrogate": "linear_regression", "target": "classes"},
            r"is fitted to numbers, but the target gives classes",
        ),
        ({"surrogate": "logistic_regression", "target": 1}, r"is fitted to classes, but the target gives numbers"),
        ({"target": "logits"}, r"target must be 'probabilities', 'scores', 'classes', a class.* but it is 'logits'"),
        ({"target": 2}, r"but it is 2, and the model returns 2 scores for each sample"),
        ({"target": lambda output: output.mean()}, r"but the target returned a tensor \[\]"),
        (
            {"target": lambda output: output.long() - 9},
            r"must return one class for each sample, \[samples\], 0 or more",
        ),
        ({"target": lambda output: output[:, 0] * 0}, r"samples that are fitted to it says the same\. Give more or"),
        ({"target": lambda output: output[:1, 0]}, r"200 samples in what it sees and 1 in what the model returned"),
        ({"held_out": 1.0}, r"held_out must be a share of the samples, between 0 and 1.* but it is 1.0 of 200"),
        ({"held_out": 0.001}, r"leaves 2 or more to fit to and 2 or more to judge on"),
        ({"feature_names": ["a"]}, r"a name for each of the 3 features, but it is a list of 1"),
        ({"output_names": "ab"}, r"a name for each of the 2 outputs or classes, but it is 'ab'"),
        ({"features": torch.ones(3, 3)}, r"features must be numbers \[samples, features\] of 200 samples, but they"),
        ({"features": torch.ones(SAMPLES, 3), "of": "1"}, r"features were given, and of='1'"),
        ({"samples_at_once": 0}, r"run 1 or more at once, but there are 200 samples, and samples_at_once is 0"),
        ({"of": "*"}, r"of must be 'inputs' or the key of one layer, but '\*' is a pattern, of 1: '1'\. Choose one"),
    ],
)
def test_errors_say_the_rule(options: dict[str, Any], message: str) -> None:
    model = nn.Sequential(OrderedDict({"1": linear()}))
    with pytest.raises(InvalidArgumentError, match=message):
        layerscope.surrogate(model, batch(), **options)


def test_what_is_not_finite_is_refused() -> None:
    x = batch()
    x[3, 1] = torch.nan
    with pytest.raises(CaptureError, match="for some samples the model gives infinities or NaN"):
        layerscope.surrogate(linear(), x)
    with pytest.raises(
        CaptureError, match=r"1 of the 3 features hold infinities or NaN, the first of them 'input\[1\]'"
    ):
        layerscope.surrogate(Corners(), x)


def test_what_nobody_could_read_is_refused() -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).mean(1)

    with pytest.raises(InvalidArgumentError, match="sees 1 to 16384 features, but inputs have 49152 for each sample"):
        layerscope.surrogate(Mean(), torch.rand(8, 3, 128, 128))


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "layerscope\[surrogates\]"'):
        layerscope.surrogate(linear(), batch())
    with pytest.raises(MissingExtraError, match=r"layerscope.linear_probes needs the package 'scikit-learn'"):
        layerscope.linear_probes(linear(), batch(), [0, 1] * 100)
