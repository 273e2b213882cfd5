"""Image and words to masks, objects and numbers."""

from pathsegmentor.segment.encoded import EncodedImage
from pathsegmentor.segment.result import Found, Result
from pathsegmentor.segment.segmenter import Segmenter

__all__ = ["EncodedImage", "Found", "Result", "Segmenter"]
