"""Training data: clips, latents, prompts."""
