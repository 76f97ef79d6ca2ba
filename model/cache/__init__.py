"""Keys and values of a world's window."""
