"""Clouds and other people's simulators, an adapter a file. Their packages are imported when first used, not before."""
