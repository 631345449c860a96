"""Feature maps: values by hand, gradients by finite differences, over all rows."""

import copy
import pickle

import numpy as np
import pytest

from superpose.circuits import FEATURE_MAPS, FeatureMap, feature_map
from superpose.errors import FeatureMapError

X = np.array([[0.1, -0.4, 2.0], [1.5, 0.0, -3.0]])


def test_values():
    a, b, c = X.T
    pi = np.pi
    np.testing.assert_array_equal(feature_map("identity", 3).apply(X), X)
    np.testing.assert_array_equal(feature_map("arctan", 3).apply(X), np.arctan(X))
    np.testing.assert_allclose(feature_map("products", 3).apply(X), np.stack([a, b, c, a * b, a * c, b * c], 1))
    wanted = np.stack([a, b, c, (pi - a) * (pi - b), (pi - a) * (pi - c), (pi - b) * (pi - c)], 1)
    np.testing.assert_allclose(feature_map("pi_products", 3).apply(X), wanted)


@pytest.mark.parametrize("name", FEATURE_MAPS)
@pytest.mark.parametrize("n_inputs", [1, 2, 3])
def test_every_map(name, n_inputs):
    fmap = feature_map(name, n_inputs)
    assert isinstance(fmap, FeatureMap)
    assert (fmap.name, fmap.n_inputs) == (name, n_inputs)
    assert feature_map(fmap.name, fmap.n_inputs, **fmap.options) == fmap == pickle.loads(pickle.dumps(fmap))
    assert hash(copy.deepcopy(fmap)) == hash(fmap)
    x = X[:, :n_inputs]
    angles = fmap.apply(x)
    assert angles.shape == (2, fmap.n_angles)
    assert angles.dtype == np.float64
    assert not np.shares_memory(angles, x)
    grad_angles = np.random.default_rng(0).normal(size=angles.shape)
    grad = fmap.vjp(x, grad_angles)
    assert grad.shape == x.shape
    step = 1e-6
    for k in range(n_inputs):
        shift = step * np.eye(n_inputs)[k]
        difference = (fmap.apply(x + shift) - fmap.apply(x - shift)) / (2 * step)
        np.testing.assert_allclose(grad[:, k], np.sum(difference * grad_angles, axis=1), atol=1e-8)
    assert fmap.apply(np.empty((0, n_inputs))).shape == (0, fmap.n_angles)


@pytest.mark.parametrize(
    "make",
    [
        lambda: feature_map("nope", 2),
        lambda: feature_map("products", 0),
        lambda: feature_map("products", True),
        lambda: feature_map("products", 2.0),
        lambda: feature_map("products", 2, depth=3),
        lambda: feature_map("products", 2).apply([[1.0]]),
        lambda: feature_map("products", 2).apply([1.0, 2.0]),
        lambda: feature_map("products", 2).vjp([[1.0, 2.0]], [[1.0, 2.0]]),
    ],
)
def test_refused(make):
    with pytest.raises(FeatureMapError):
        make()
