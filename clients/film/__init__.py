"""Takes without a window: films and contact sheets."""
