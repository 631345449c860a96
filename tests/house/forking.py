"""Runs Python blocks, each in a process of its own that is forked from this one, which has the large libraries loaded.

Loading them took most of what the documentation's blocks took. Of superpose nothing is loaded here: a block imports
what it needs. A line of input is a block and the directory it runs in, as JSON; the line of output is its exit code,
and what it printed is in files `stdout` and `stderr` of the directory.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import types
from pathlib import Path

for library in ("torch", "pandas", "scipy.stats", "sklearn.datasets", "sklearn.model_selection"):
    importlib.import_module(library)
gc.freeze()

for line in sys.stdin:
    block, place = json.loads(line)
    if (child := os.fork()) == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()

signal.alarm(240)  # what hangs ends before the test's own limit of time
os.chdir(place)
for number, name, mode in ((0, os.devnull, "r"), (1, "stdout", "w"), (2, "stderr", "w")):
    with Path(name).open(mode, encoding="utf-8") as file:
        os.dup2(file.fileno(), number)
sys.argv, sys.path[0] = ["-c"], ""
main = sys.modules["__main__"] = types.ModuleType("__main__")
exec(compile(block, "<block>", "exec"), main.__dict__)
