"""Enlarging of single pictures by Swin2SR, in tiles; frames of a video one by one would flicker."""
