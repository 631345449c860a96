"""Circuits as pictures, SVG or PNG. Needs Matplotlib (``pip install 'superpose[plots]'``) and no display."""

from superpose.pictures.picture import FORMATS, Picture, draw_picture

__all__ = ["FORMATS", "Picture", "draw_picture"]
