"""Limits on what a user may bring, keep and have done at a time."""
