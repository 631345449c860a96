"""Experiments: sweeps that search for a good training spec."""
