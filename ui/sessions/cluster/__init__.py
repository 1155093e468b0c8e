"""Runs of sessions on a Ray cluster."""
