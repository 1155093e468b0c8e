"""Sound of a video: read, and written into a result."""
