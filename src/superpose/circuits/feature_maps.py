"""Named differentiable feature maps: from inputs to angles, for what is not affine in the inputs.

Each map is a row of `FEATURE_MAPS`; ``apply`` and ``vjp`` are pure NumPy, so a model file needs only the name, the
number of inputs and the options to bring a map back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from superpose.circuits.wording import listed, shown
from superpose.errors import FeatureMapError

__all__ = ["FEATURE_MAPS", "FeatureMap", "feature_map"]

Array = npt.NDArray[np.float64]


@runtime_checkable
class FeatureMap(Protocol):
    """What stands between inputs and angles."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    @property
    def n_inputs(self) -> int:
        """Number of inputs per sample."""
        ...

    @property
    def n_angles(self) -> int:
        """Number of angles per sample."""
        ...

    @property
    def options(self) -> Mapping[str, float]:
        """The options the map was made with; with name and n_inputs they make it again."""
        ...

    def apply(self, inputs: npt.ArrayLike) -> Array:
        """Return angles ``(batch, n_angles)`` of ``inputs`` ``(batch, n_inputs)``, float64."""
        ...

    def vjp(self, inputs: npt.ArrayLike, grad_angles: npt.ArrayLike) -> Array:
        """Return the gradient ``(batch, n_inputs)`` by the inputs, given that ``(batch, n_angles)`` by the angles."""
        ...


@dataclass(frozen=True, slots=True)
class _Pointwise:
    """Angles ``f(x_i)``, one per input."""

    name: str
    n_inputs: int
    function: Callable[[Array], Array] = field(repr=False)
    derivative: Callable[[Array], Array] = field(repr=False)
    options: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def n_angles(self) -> int:
        """Number of angles per sample."""
        return self.n_inputs

    def apply(self, inputs: npt.ArrayLike) -> Array:
        """Return the angles, ``(batch, n_inputs)``."""
        return self.function(_check(inputs, self.n_inputs, self.name, "inputs"))

    def vjp(self, inputs: npt.ArrayLike, grad_angles: npt.ArrayLike) -> Array:
        """Return the gradient by the inputs, ``(batch, n_inputs)``."""
        grad = _check(grad_angles, self.n_angles, self.name, "grad_angles")
        return grad * self.derivative(_check(inputs, self.n_inputs, self.name, "inputs"))


@dataclass(frozen=True, slots=True)
class _Pairwise:
    """Angles ``x_i`` for every i, then ``(a + s x_i)(a + s x_j)`` for every i < j in lexicographic order."""

    name: str
    n_inputs: int
    offset: float
    sign: float
    options: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def n_angles(self) -> int:
        """Number of angles per sample, n + n(n-1)/2."""
        return self.n_inputs * (self.n_inputs + 1) // 2

    def apply(self, inputs: npt.ArrayLike) -> Array:
        """Return the angles, ``(batch, n_angles)``."""
        x = _check(inputs, self.n_inputs, self.name, "inputs")
        y = self.offset + self.sign * x  # (batch, n_inputs)
        i, j = np.triu_indices(self.n_inputs, k=1)
        return np.concatenate([x, y[:, i] * y[:, j]], axis=1)  # (batch, n_angles)

    def vjp(self, inputs: npt.ArrayLike, grad_angles: npt.ArrayLike) -> Array:
        """Return the gradient by the inputs, ``(batch, n_inputs)``."""
        x = _check(inputs, self.n_inputs, self.name, "inputs")
        grad = _check(grad_angles, self.n_angles, self.name, "grad_angles")
        y = self.offset + self.sign * x
        i, j = np.triu_indices(self.n_inputs, k=1)
        pairs = np.zeros((len(x), self.n_inputs, self.n_inputs))
        pairs[:, i, j] = grad[:, self.n_inputs :]
        pairs += pairs.transpose(0, 2, 1)  # symmetric: d/dx_i of pair (i, j) is sign * y_j
        by_input: Array = grad[:, : self.n_inputs] + self.sign * np.einsum("bij,bj->bi", pairs, y)
        return by_input


def _identity(n_inputs: int) -> FeatureMap:
    return _Pointwise("identity", n_inputs, np.array, np.ones_like)


def _arctan(n_inputs: int) -> FeatureMap:
    return _Pointwise("arctan", n_inputs, np.arctan, _arctan_slope)


def _arctan_slope(x: Array) -> Array:
    return 1.0 / (1.0 + x * x)


def _products(n_inputs: int) -> FeatureMap:
    return _Pairwise("products", n_inputs, offset=0.0, sign=1.0)


def _pi_products(n_inputs: int) -> FeatureMap:
    return _Pairwise("pi_products", n_inputs, offset=np.pi, sign=-1.0)


FEATURE_MAPS: Mapping[str, Callable[..., FeatureMap]] = MappingProxyType(
    {"identity": _identity, "products": _products, "pi_products": _pi_products, "arctan": _arctan}
)
"""Makers of feature maps by name; each takes n_inputs and the map's options."""


def feature_map(name: str, n_inputs: int, **options: float) -> FeatureMap:
    """Return the feature map of this name for ``n_inputs`` inputs.

    ``identity``: ``x_i``. ``arctan``: ``arctan(x_i)``. ``products``: ``x_i``, then ``x_i x_j`` for i < j in
    lexicographic order. ``pi_products``: ``x_i``, then ``(pi - x_i)(pi - x_j)``, the map of the classification
    experiment in Havlicek et al., Nature 567, 209 (2019).

    Raises:
        FeatureMapError: Unknown name or option, or n_inputs is below 1.

    >>> feature_map("products", 3).apply([[1.0, 2.0, 3.0]])
    array([[1., 2., 3., 2., 3., 6.]])
    """
    if name not in FEATURE_MAPS:
        raise FeatureMapError(f"There is no feature map {shown(name)}; known are {', '.join(FEATURE_MAPS)}.")
    if isinstance(n_inputs, bool) or not isinstance(n_inputs, int | np.integer) or n_inputs < 1:
        raise FeatureMapError(f"A feature map takes at least 1 input, got n_inputs={shown(n_inputs)}.")
    try:
        return FEATURE_MAPS[name](int(n_inputs), **options)
    except TypeError:
        raise FeatureMapError(
            f"Feature map {name!r} does not take options {listed(sorted(options))}.", name=name
        ) from None


def _check(values: npt.ArrayLike, width: int, name: str, role: str) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != width:
        raise FeatureMapError(
            f"Feature map {name!r}: {role} must have shape (batch, {width}), got {array.shape}.",
            shape=list(array.shape),
        )
    return array
