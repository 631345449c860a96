"""Circuits to and from other toolkits, a file each. Their packages are imported when first used, never before.

`read` gives a `Circuit` for anything that a row of `TOOLKITS` knows, `write` another toolkit's own object. What cannot
be kept is refused by name (`ConversionError`); nothing is dropped silently. Parameters stay symbolic.
"""

from superpose.frontends.convert import read, toolkit_of, write
from superpose.frontends.table import TOOLKITS, Toolkit

__all__ = ["TOOLKITS", "Toolkit", "read", "toolkit_of", "write"]
