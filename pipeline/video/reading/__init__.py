"""Frames of a video file and the times at which they are shown."""
