"""Whole studies on one kind of data: read, trained, compared and reported by one call or command."""
