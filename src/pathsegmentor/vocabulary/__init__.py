"""Labels of three levels, and from words to labels. Knows nothing of images."""

from pathsegmentor.vocabulary.label import Label
from pathsegmentor.vocabulary.query import Candidate, Part, Query
from pathsegmentor.vocabulary.vocabulary import Vocabulary

__all__ = ["Candidate", "Label", "Part", "Query", "Vocabulary"]
