"""What keeps a service well: backup and restore, retention, checks, measurements, traces."""
