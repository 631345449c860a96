"""Where the service keeps things: SQLite, artifacts, the data directory, the job store."""
