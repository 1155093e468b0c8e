"""Propagation: order in which a clip is given to a model, and data to resume a run."""
