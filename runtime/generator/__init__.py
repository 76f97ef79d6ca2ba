"""The generator process and what drives it."""
