"""Training against the public reference: recorded losses, gradients, rollouts and chunks."""
