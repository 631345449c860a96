"""The benchmarks are scripts beside the package, not part of it; their directory goes on the path as when run."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
