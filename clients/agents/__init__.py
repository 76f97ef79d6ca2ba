"""Agents: a Gymnasium environment, and an example in Python and in JavaScript."""
