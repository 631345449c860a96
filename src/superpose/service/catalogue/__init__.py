"""What jobs work with and make: data sets and models."""
