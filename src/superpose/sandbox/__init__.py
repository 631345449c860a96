"""Users' Python, shut in: a process of its own without network, files, other processes, or more than its share.

``Sandboxes`` keeps such processes; ``probe`` says what this machine can do to shut them in. What runs inside are
``child.py`` and ``isolation.py``, of the standard library alone, which nothing here imports.
"""

from superpose.sandbox.pool import Limits, Said, Sandboxes
from superpose.sandbox.process import Isolation, probe

__all__ = ["Isolation", "Limits", "Said", "Sandboxes", "probe"]
