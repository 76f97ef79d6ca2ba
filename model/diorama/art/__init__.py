"""The drawings the diorama's renderer composes: skies, places, actors and weather, pre-drawn with Pillow."""
