from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA
from torch import Tensor, nn

import layerscope
from layerscope.errors import CaptureError, LayerNotFoundError
from layerscope.probing.embeddings import Embedding, embeddings, principal_components, word_embeddings


def cloud(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=(samples, channels)) * np.linspace(3, 0.2, channels) + 5).astype(np.float32)


@pytest.mark.parametrize(("samples", "channels"), [(40, 8), (6, 50), (5, 3), (300, 4)])
def test_points_are_those_of_scikit_learn(samples: int, channels: int) -> None:
    features = cloud(samples, channels)
    points, explained = principal_components(features, 3)
    peer = PCA(3).fit(features.astype(np.float64))
    expected = peer.transform(features.astype(np.float64))
    expected *= np.sign((expected * points).sum(0))  # an axis has no sign
    np.testing.assert_allclose(points, expected, atol=1e-4)
    np.testing.assert_allclose(explained, peer.explained_variance_ratio_, atol=1e-6)
    assert (points.max(0) >= -points.min(0)).all()


def test_points_are_turned_onto_those_before_as_scipy_does() -> None:
    features = cloud(30, 6)
    alone, _ = principal_components(features, 3)
    before = principal_components(cloud(30, 6, seed=1), 3)[0]
    turned, explained = principal_components(features, 3, before)
    rotation, _ = orthogonal_procrustes(alone.astype(np.float64), before.astype(np.float64))
    np.testing.assert_allclose(turned, alone @ rotation, atol=1e-4)
    distances = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (alone, turned)]
    np.testing.assert_allclose(*distances, atol=1e-4)  # nothing is stretched
    assert explained.sum() == pytest.approx(principal_components(features, 3)[1].sum(), abs=1e-6)


def test_a_turned_and_mirrored_cloud_comes_back_onto_itself() -> None:
    features = cloud(20, 3)
    points, _ = principal_components(features, 3)
    other, _ = principal_components(features[:, ::-1] * np.float32(-1), 3, points)
    np.testing.assert_allclose(other, points, atol=1e-4)


def test_fewer_channels_than_components_leave_zeros_and_constants_have_no_variance() -> None:
    points, explained = principal_components(cloud(10, 1), 3)
    assert (points[:, 1:] == 0).all()
    np.testing.assert_allclose(explained, [1, 0, 0], atol=1e-6)
    points, explained = principal_components(np.ones((10, 4), np.float32), 2)
    assert (points == 0).all()
    assert (explained == 0).all()
    assert np.isnan(principal_components(np.array([[1.0, np.nan], [0, 1]], np.float32), 2)[0]).all()


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).mean((2, 3)))


def test_features_are_means_over_positions_of_every_chosen_layer() -> None:
    torch.manual_seed(0)
    model, x = Two(), torch.randn(7, 1, 5, 5)
    found = embeddings(model, x, samples_at_once=3)
    assert list(found) == ["conv", "fc"]
    with torch.no_grad():
        expected = model.conv(x).mean((2, 3))
        np.testing.assert_allclose(found["conv"].features, expected, atol=1e-6)
        np.testing.assert_allclose(found["fc"].features, model(x), atol=1e-6)
    np.testing.assert_allclose(found["conv"].points, principal_components(expected.numpy(), 3)[0], atol=1e-5)


def test_before_counts_only_for_the_same_samples() -> None:
    model, x = Two(), torch.randn(7, 1, 5, 5)
    first = embeddings(model, x, layers=["fc"])
    mirrored = {"fc": Embedding(first["fc"].features, -first["fc"].points, first["fc"].explained)}
    np.testing.assert_allclose(embeddings(model, x, before=mirrored)["fc"].points, mirrored["fc"].points, atol=1e-5)
    fewer = embeddings(model, x[:5], before=mirrored)["fc"]
    np.testing.assert_array_equal(fewer.points, embeddings(model, x[:5])["fc"].points)


def test_words_are_the_distinct_tokens_without_padding() -> None:
    model = nn.Sequential(nn.Embedding(5, 2, padding_idx=0), nn.Linear(2, 2))
    numbers = torch.tensor([[3, 1, 0], [3, 3, 4]])
    found = word_embeddings(model, "0", {"input_ids": numbers})
    assert found is not None
    tokens, rows = found
    assert tokens == [1, 3, 4]
    np.testing.assert_array_equal(rows, model[0].weight.detach()[[1, 3, 4]])
    assert word_embeddings(model, "1", numbers) is None
    assert word_embeddings(model, "0", torch.ones(2, 2)) is None


def test_what_cannot_be_is_said() -> None:
    model, x = Two(), torch.randn(1, 1, 5, 5)
    with pytest.raises(CaptureError, match="they need two or more, but there are 1"):
        embeddings(model, x)
    with pytest.raises(LayerNotFoundError, match="'nowhere' was asked for"):
        embeddings(model, torch.randn(3, 1, 5, 5), layers=["nowhere"])


def test_it_is_public() -> None:
    assert layerscope.embeddings is embeddings
