"""The network, its config, and weights on disk. Knows nothing of image files or slides."""
