"""Circuits drawn: where each operation stands (`layout`), what it is called (`labels`), and lines of text (`text`)."""

from superpose.circuits.drawing.labels import angle_label, condition_label
from superpose.circuits.drawing.layout import Edge, Layout, Placed, check_rows, lay_out
from superpose.circuits.drawing.text import draw, draw_text

__all__ = ["Edge", "Layout", "Placed", "angle_label", "check_rows", "condition_label", "draw", "draw_text", "lay_out"]
