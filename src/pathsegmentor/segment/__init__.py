"""Image and words to masks, objects and numbers."""

from pathsegmentor.segment.result import Found, Result
from pathsegmentor.segment.segmenter import EncodedImage, Segmenter

__all__ = ["EncodedImage", "Found", "Result", "Segmenter"]
