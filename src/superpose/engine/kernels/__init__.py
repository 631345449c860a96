"""Everything that is compiled. Only `superpose.engine.machine_code` imports what needs Numba, when it must compile."""
