"""Privacy of the rows that a model learns from: differentially private training, and an attack that measures leaks."""
