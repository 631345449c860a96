"""Everything that is compiled. Only `superpose.engine.cache` imports the interpreter, when a kernel is first needed."""
