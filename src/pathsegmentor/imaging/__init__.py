"""Pixels with a scale: reading, resampling, tiling and pictures."""

from pathsegmentor.imaging.draw import PALETTE, needs_overview, overlay, overview
from pathsegmentor.imaging.picture import Picture, check_mpp
from pathsegmentor.imaging.read import MOST_PIXELS, SMALLEST_SIDE, check_whole, read_picture, read_scale
from pathsegmentor.imaging.resample import resize_labels, resize_pixels, resize_probability, scaled_size
from pathsegmentor.imaging.tiling import Blender, Tile, plan_tiles
from pathsegmentor.imaging.tissue import Tissue, find_tissue

__all__ = [
    "MOST_PIXELS",
    "PALETTE",
    "SMALLEST_SIDE",
    "Blender",
    "Picture",
    "Tile",
    "Tissue",
    "check_mpp",
    "check_whole",
    "find_tissue",
    "needs_overview",
    "overlay",
    "overview",
    "plan_tiles",
    "read_picture",
    "read_scale",
    "resize_labels",
    "resize_pixels",
    "resize_probability",
    "scaled_size",
]
