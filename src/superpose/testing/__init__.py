"""Conformance suites: what every gate, backend, store and model must do, as checks to run on your own."""
