"""Quantum functions: circuits behind names, with Python that runs shut in before and after them."""
