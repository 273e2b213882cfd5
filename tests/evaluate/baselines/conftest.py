from tests.cli.conftest import here
from tests.train.conftest import data

__all__ = ["data", "here"]
