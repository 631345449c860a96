"""The command line: a face of the client and the service. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process: 0 done, 1 an error, 2 wrong usage, 130 interrupted."""
    from superpose.cli.app import run

    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))
