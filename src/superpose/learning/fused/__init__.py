"""Training steps as compiled code, for networks that are a circuit between classical layers; torch takes all others."""
