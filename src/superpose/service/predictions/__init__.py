"""Batch predictions: a file of rows in, a file of predictions out."""
