"""Endpoints: models in memory that answer in micro-batches."""
