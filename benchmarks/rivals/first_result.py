"""A process that does one thing: import a contestant, take one training step, end. Timed from outside, by
``new_circuit.py``; what it prints is the milliseconds from the start of this file to the result.

    python first_result.py MODULE CASE THREADS
"""

import sys
import time
from pathlib import Path

if __name__ == "__main__":
    begin = time.perf_counter()
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    import importlib
    import os

    from rivals.circuit import Case, make_task

    module, case, threads = sys.argv[1:]
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = make_task(Case.parse(case), int(threads))
    task.options["warm"] = "no"  # a user's process builds and loads what it uses
    candidate = importlib.import_module(f"rivals.{module}").candidates(task)[0]
    step = candidate.build()
    results = step.run()
    values = step.arrays(results)[0]
    print(f"{(time.perf_counter() - begin) * 1e3} {float(values.reshape(-1)[0])!r}", file=said, flush=True)
    os._exit(0)
