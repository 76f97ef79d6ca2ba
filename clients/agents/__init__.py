"""Agents: a Gymnasium environment and an example."""
