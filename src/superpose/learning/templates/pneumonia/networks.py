"""The template's networks: convolutional features, the dressed circuit behind them, and what it is compared with.

All take pixels ``(batch, side * side)`` of 0 .. 1, row after row, and give two scores ``(batch, 2)``; row by row, so
that they can be exported and served.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from superpose.circuits import Circuit, parameters, z_all
from superpose.learning.fused.parts import FusedParts
from superpose.learning.quantum_block import QuantumBlock
from superpose.learning.quantum_layer import QuantumLayer
from superpose.learning.templates.pneumonia.options import Head
from superpose.learning.templates.pneumonia.pretrained import EfficientNetFeatures

__all__ = [
    "N_QUBITS",
    "DressedHead",
    "PictureClassifier",
    "ResNet18Features",
    "ResidualFeatures",
    "SixConvolutions",
    "dressed_block",
    "mean_of",
]

N_QUBITS = 4
_LAYERS = 6
_MOST_AT_ONCE = 256
_PIXELS_AT_ONCE = 2**19
_ZOOMS = (0.9, 1.1)
_SMALL_ENTRY = 0.2
_SMALL_ANGLE = 0.01


def dressed_block(*, entangle: bool = True) -> QuantumBlock:
    """The dressed quantum circuit: 4 inputs, 24 weights, <Z> on 4 qubits.

    H and RY(x_i) on each qubit, then six times {CX 01, CX 23, CX 12, RY(w) on each qubit}.

    Args:
        entangle: False leaves out every CX.

    Source: Mari, Bromley, Izaac, Schuld and Killoran, Quantum 4 (2020) 340, arXiv 1912.08278, sec. 4.
    """
    angles, weights = parameters("x", N_QUBITS), parameters("w", N_QUBITS * _LAYERS)
    circuit = Circuit(N_QUBITS, name="dressed" if entangle else "dressed_unentangled")
    for qubit in range(N_QUBITS):
        circuit.h(qubit)
        circuit.ry(angles[qubit], qubit)
    for layer in range(_LAYERS):
        for pair in ((0, 1), (2, 3), (1, 2)) if entangle else ():
            circuit.cx(*pair)
        for qubit in range(N_QUBITS):
            circuit.ry(weights[layer * N_QUBITS + qubit], qubit)
    return QuantumBlock(circuit, tuple(angle.name for angle in angles), N_QUBITS, "identity", z_all(N_QUBITS))


def _convolution(n_in: int, n_out: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, size, stride=stride, padding=size // 2, bias=False), nn.BatchNorm2d(n_out)
    )


class SixConvolutions(nn.Sequential):
    """Three times {two 3 x 3 convolutions, halving}, 32, 64 and 128 channels, and their mean: 128 features."""

    def __init__(self, width: int = 32) -> None:
        steps: list[nn.Module] = []
        before = 1
        for stage in range(3):
            after = width * 2**stage
            for n_in in (before, after):
                steps += [_convolution(n_in, after), nn.ReLU()]
            steps.append(nn.MaxPool2d(2) if stage < 2 else nn.AdaptiveAvgPool2d(1))
            before = after
        super().__init__(*steps, nn.Flatten())
        self.n_features = before


class _Residual(nn.Module):
    """relu(x' + two convolutions of x), x' being x, or its 1 x 1 convolution where shapes differ."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(n_in, n_out, stride)
        self.second = _convolution(n_out, n_out)
        self.short = nn.Identity() if n_in == n_out and stride == 1 else _convolution(n_in, n_out, stride, size=1)

    def forward(self, images: Tensor) -> Tensor:
        changed = self.second(torch.relu(self.first(images)))
        return torch.relu(self.short(images) + changed)


class ResidualFeatures(nn.Sequential):
    """A 5 x 5 convolution that halves the side, then residual blocks of 64 and 128 channels: 128 features."""

    def __init__(self, width: int = 64, blocks: int = 2) -> None:
        first = [_Residual(width, width) for _ in range(blocks)]
        second = [_Residual(width if not i else 2 * width, 2 * width, 1 if i else 2) for i in range(blocks)]
        super().__init__(
            _convolution(1, width, stride=2, size=5), nn.ReLU(), *first, *second, nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.n_features = 2 * width


class ResNet18Features(nn.Sequential):
    """ResNet-18 for small pictures, one input channel: 512 features.

    Its stem is a 3 x 3 convolution and a halving, so that the last stage of 28 x 28 pixels still sees 2 x 2; ImageNet's
    stem (7 x 7, stride 2, then halving) would leave it one. MedMNIST's own ResNet-18 at 28 pixels does not halve in the
    stem, at four times the cost.

    Cost: 122 million multiplications a picture of 28 x 28; 10 ms of training a picture on one core.
    Source: He, Zhang, Ren and Sun 2016, arXiv 1512.03385, table 1.
    """

    def __init__(self) -> None:
        steps: list[nn.Module] = [_convolution(1, 64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        before = 64
        for stage, after in enumerate((64, 128, 256, 512)):
            steps += [_Residual(before, after, 1 if stage == 0 else 2), _Residual(after, after)]
            before = after
        super().__init__(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.n_features = before


class _Twin(nn.Module):
    """As many trained numbers as the circuit, 24, between the same four inputs and outputs: scale * tanh(W x + b)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(N_QUBITS, N_QUBITS)
        self.scale = nn.Parameter(torch.ones(N_QUBITS))

    def forward(self, angles: Tensor) -> Tensor:
        return self.scale * torch.tanh(self.inner(angles))


class DressedHead(nn.Module):
    """Features -> 4 -> pi/2 tanh -> circuit (or what stands in its place) -> 2.

    Args:
        n_features: width of what enters.
        kind: "hybrid", "twin", "unentangled" or "frozen".
        seed: of the circuit's weights.
        small: begin with a fifth of the usual weights in front, so that tanh is nearly linear, and with circuit weights
            of standard deviation 0.01, as Mari et al. have it, in place of uniform ones: each output then begins as a
            sine, or a product of sines, of the inputs.
    """

    def __init__(self, n_features: int, kind: Head, seed: int, *, small: bool = False) -> None:
        super().__init__()
        self.entry = nn.Linear(n_features, N_QUBITS)
        if small:
            with torch.no_grad():
                self.entry.weight.mul_(_SMALL_ENTRY)
                self.entry.bias.mul_(_SMALL_ENTRY)
        self.middle: nn.Module
        if kind == "twin":
            self.middle = _Twin()
        else:
            layer = QuantumLayer.from_block(dressed_block(entangle=kind != "unentangled"), seed=seed)
            if small:
                with torch.no_grad():
                    drawn = torch.randn(layer.weights.shape, generator=torch.Generator().manual_seed(seed))
                    layer.weights.copy_(_SMALL_ANGLE * drawn)
            layer.weights.requires_grad_(kind != "frozen")
            self.middle = layer
        self.exit = nn.Linear(N_QUBITS, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Scores ``(batch, 2)`` of features ``(batch, n_features)``."""
        angles = torch.tanh(self.entry(features)) * (math.pi / 2.0)
        return self.exit(self.middle(angles))  # type: ignore[no-any-return]

    def fused_parts(self) -> FusedParts:
        """The same as parts, for training in compiled code."""
        return FusedParts(self.middle, self.exit, "tanh", self.entry.weight, self.entry.bias, math.pi / 2.0)


class PictureClassifier(nn.Module):
    """Pixels -> features -> scores; in predicting mode the mean of the scores of several views of each image.

    Args:
        side: of the images.
        features: from images ``(batch, 1, side, side)`` to ``(batch, features.n_features)``.
        head: a row of `HEADS`; "linear" is one linear layer.
        seed: of the circuit's weights.
        shifts: whether predictions are means over the image and its copies moved by one pixel in four directions.
        flips: whether predictions are means over the image and its mirror image.
        zooms: whether predictions are means over the image and copies brought nearer and farther.
        small_head: whether a dressed head begins small.
    """

    def __init__(  # noqa: PLR0913  # one parameter per part
        self,
        side: int,
        features: nn.Module,
        head: Head,
        seed: int,
        *,
        shifts: bool = False,
        flips: bool = False,
        zooms: bool = False,
        small_head: bool = False,
    ) -> None:
        super().__init__()
        self.side, self.shifts, self.flips = side, shifts, flips
        n_features = int(features.n_features)  # type: ignore[arg-type]
        self.features = features
        self.zooms: Tensor | None
        self.register_buffer("zooms", self._zooming() if zooms else None, persistent=False)
        self.head: nn.Module = (
            nn.Linear(n_features, 2) if head == "linear" else DressedHead(n_features, head, seed, small=small_head)
        )

    @property
    def resolution(self) -> int:
        """Pixels along an edge of enlarged images."""
        return self.features.resolution if isinstance(self.features, EfficientNetFeatures) else self.side

    def _zooming(self) -> Tensor:
        """Matrices ``(n_zooms, n, n)`` that bring an axis of enlarged images nearer or farther, bicubic, edges
        repeated."""
        n = self.resolution
        places = torch.arange(n) * (2.0 / n) + (1.0 / n - 1.0)
        grids = [torch.stack(torch.meshgrid(places, zoom * places, indexing="xy"), dim=2) for zoom in _ZOOMS]
        one = torch.eye(n).expand(len(_ZOOMS), 1, n, n)
        found: Tensor = functional.grid_sample(
            one, torch.stack(grids), mode="bicubic", padding_mode="border", align_corners=False
        )
        return found[:, 0]

    def n_at_once(self) -> int:
        """How many pictures go through together in predicting, so that what lies between layers stays small."""
        return max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // self.resolution**2))

    def enlarged(self, images: Tensor) -> Tensor:
        """Images of 0 .. 1 as the features take them; where these take them as they are, the images themselves."""
        return self.features.enlarged(images) if isinstance(self.features, EfficientNetFeatures) else images

    def scores_of(self, images: Tensor) -> Tensor:
        """Scores ``(batch, 2)`` of enlarged images ``(batch, 1, n, n)`` as they are, pixels 0 .. 1."""
        return self.head(self.features_of(images))  # type: ignore[no-any-return]

    def features_of(self, images: Tensor) -> Tensor:
        """Features ``(batch, n_features)`` of enlarged images ``(batch, 1, n, n)``, pixels 0 .. 1."""
        return self.features((images - 0.5) * 4.0)  # type: ignore[no-any-return]

    def views(self, images: Tensor) -> list[Tensor]:
        """The views of images ``(batch, 1, side, side)`` whose scores predicting takes the mean of, enlarged."""
        found = [images]
        if self.shifts:
            tall = torch.cat([images[:, :, :1], images, images[:, :, -1:]], dim=2)
            wide = torch.cat([tall[:, :, :, :1], tall, tall[:, :, :, -1:]], dim=3)  # edges repeated; NumPy serves it
            side = self.side
            found += [wide[:, :, y : y + side, x : x + side] for y, x in ((0, 1), (2, 1), (1, 0), (1, 2))]
        if self.flips:
            found += [view.flip(3) for view in found]
        found = [self.enlarged(view) for view in found]
        if self.zooms is not None:
            found += [zoom @ view @ zoom.transpose(0, 1) for zoom in self.zooms for view in found]
        return found

    def view_features(self, images: Tensor) -> list[Tensor]:
        """Features ``(batch, n_features)`` of each view of images ``(batch, 1, side, side)``."""
        return [self.features_of(view) for view in self.views(images)]

    def mean_scores(self, features: Sequence[Tensor]) -> Tensor:
        """Scores ``(batch, 2)``: the mean of the head's over the views, of whose features there are `view_features`."""
        return mean_of([self.head(one) for one in features])

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores ``(batch, 2)`` of pixels ``(batch, side * side)``."""
        images = pixels.reshape(-1, 1, self.side, self.side)
        if self.training:
            return self.scores_of(self.enlarged(images))
        return self.mean_scores(self.view_features(images))


def mean_of(scores: Sequence[Tensor]) -> Tensor:
    """The mean of tensors of one shape, which are summed in their order."""
    total = scores[0]
    for one in scores[1:]:
        total = total + one
    return total * (1.0 / len(scores))
