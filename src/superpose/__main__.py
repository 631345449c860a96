"""``python -m superpose``: the command line."""

from __future__ import annotations

from superpose.cli import main

if __name__ == "__main__":
    main()
