"""The routes, one file per noun. Each has ``routes(service)``, which gives its router."""
