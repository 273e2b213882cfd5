"""Report."""

from pathlib import Path
from typing import Any

from pathsegmentor.evaluate.record import read_record
from pathsegmentor.evaluate.samples import read_samples


def write_report(folder: Path) -> dict[str, Any]:
    """Write."""
    r = read_record(folder)
    assert r
    t = read_samples(folder)
    return {"counts": r.counts, "n": t.num_rows}
