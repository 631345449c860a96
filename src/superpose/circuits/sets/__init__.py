"""Program sets: many templates, each with arrays of values, run as one submission in pieces."""
