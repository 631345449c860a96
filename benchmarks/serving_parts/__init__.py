"""What ``benchmarks/serving.py`` runs: the rival, the route that does nothing, and the load generator's script."""
