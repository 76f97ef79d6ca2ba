"""One module for each part that is trained."""
