"""Compositing of a frame over a background by its matte."""
