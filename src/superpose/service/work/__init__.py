"""Jobs from admission to result: the workers and who keeps them alive."""
