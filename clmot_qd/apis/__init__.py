"""Using the package from Python: running configurations, tracking frames, reading and writing video."""
