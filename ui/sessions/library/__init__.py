"""Shipped files for users to choose from: background pictures and example clips."""
