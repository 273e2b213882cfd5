"""Whole slides: readers of every format behind one ``Slide``, tissue, and the grid of tiles."""

from pathsegmentor.slide.cut import cut_out
from pathsegmentor.slide.find import open_slide
from pathsegmentor.slide.grid import Grid, GridTile, with_tissue
from pathsegmentor.slide.slide import Region, Slide
from pathsegmentor.slide.source import Box, Level, Patch, Reader, Source
from pathsegmentor.slide.tissue import SlideTissue, find_slide_tissue

__all__ = [
    "Box",
    "Grid",
    "GridTile",
    "Level",
    "Patch",
    "Reader",
    "Region",
    "Slide",
    "SlideTissue",
    "Source",
    "cut_out",
    "find_slide_tissue",
    "open_slide",
    "with_tissue",
]
