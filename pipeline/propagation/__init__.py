"""Order in which the frames of a clip are given to a model, and what keeps its place in between."""
