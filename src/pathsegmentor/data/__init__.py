"""PathSeg: images, masks and labels from public sources."""
