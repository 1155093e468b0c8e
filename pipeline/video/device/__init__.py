"""Frames in the memory of a device: from decoders, and to encoders."""
