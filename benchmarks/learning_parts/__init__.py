"""Parts of ``learning.py`` and ``learning_speed.py``."""
