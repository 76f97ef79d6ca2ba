"""Take files: writing, reading and replaying them."""
