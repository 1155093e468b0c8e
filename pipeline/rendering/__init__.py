"""Rendering of a result: frames and their mattes over a background, at the times of the result."""
