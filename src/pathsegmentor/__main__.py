"""``python -m pathsegmentor``."""

from pathsegmentor.cli import main

main()
