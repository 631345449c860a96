"""Solutions: problems from logistics, solved as durable jobs."""
