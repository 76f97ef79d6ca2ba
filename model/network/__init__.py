"""The causal transformer."""
