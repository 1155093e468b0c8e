"""The networks, one file each, as modules of torch; only what loads a model imports them."""
