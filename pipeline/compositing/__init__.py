"""Laying a frame with its matte over a background."""
