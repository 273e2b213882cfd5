"""Training: losses, sampling, augmentation and the loop."""
