"""Program sets: many bindings in one durable job, run in pieces that each survive a crash."""
