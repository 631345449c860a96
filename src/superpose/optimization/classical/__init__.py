"""Classical solvers: what every answer of a quantum method is held against."""
