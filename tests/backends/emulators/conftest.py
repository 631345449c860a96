"""Agreement with Aer is measured by a script of the benchmarks; their directory goes on the path as when it is run."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))
