"""Join overlays into one picture: ``python examples/side_by_side.py OUT.png OVERLAY.png ...``."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

HEIGHT, GAP = 640, 12


def main() -> None:
    """Scale all to one height, set them side by side on white."""
    out, *names = map(Path, sys.argv[1:])
    pictures = [Image.open(name).convert("RGB") for name in names]
    pictures = [p.resize((round(p.width * HEIGHT / p.height), HEIGHT), Image.Resampling.LANCZOS) for p in pictures]
    joined = Image.new("RGB", (sum(p.width + GAP for p in pictures) - GAP, HEIGHT), "white")
    x = 0
    for picture in pictures:
        joined.paste(picture, (x, 0))
        x += picture.width + GAP
    out.parent.mkdir(parents=True, exist_ok=True)
    joined.save(out)


main()
