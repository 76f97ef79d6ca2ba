"""The pygame player."""
