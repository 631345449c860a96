"""Chest X-rays: a hybrid classifier of pictures, what it must be compared with, and a report that tells the truth.

Not for clinical use.
"""

from superpose.learning.templates.pneumonia.choices import PRESETS
from superpose.learning.templates.pneumonia.report import NOTICE
from superpose.learning.templates.pneumonia.serving import picture_columns
from superpose.learning.templates.pneumonia.template import train_pneumonia
from superpose.learning.templates.pneumonia.variants import VARIANTS

__all__ = ["NOTICE", "PRESETS", "VARIANTS", "picture_columns", "train_pneumonia"]
