"""Scores pictures, measures speed, and compares the generator with recorded runs and with itself."""
