"""Pictures of what a model looked at in an image: maps of pixels, and PNG files of them over the image."""

from __future__ import annotations

from superpose.explain.pictures.deletion import pixel_deletion_areas
from superpose.explain.pictures.drawing import draw_pictures
from superpose.explain.pictures.grid import ImageGrid, image_grid
from superpose.explain.pictures.maps import KINDS, PixelMaps, pixel_maps

__all__ = ["KINDS", "ImageGrid", "PixelMaps", "draw_pictures", "image_grid", "pixel_deletion_areas", "pixel_maps"]
