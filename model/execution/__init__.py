"""Ways to run a pass of the transformer. `registry` has them by name."""
