"""``pathsegmentor compare``."""

from __future__ import annotations

from pathlib import Path

from pathsegmentor.cli.plain import plain
from pathsegmentor.cli.progress import bar
from pathsegmentor.cli.streams import speaking
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.evaluate.compare import tables_of
from pathsegmentor.evaluate.compared import write_comparison
from pathsegmentor.evaluate.paired import pair, read_method

TOLD = ("methods", "by_source")


def run(words: list[str], out: Path, data: Path | None, as_json: bool) -> None:
    """Compare finished evaluations, write the folder, tell."""
    paired = pair([read_method(word) for word in words])
    with bar() as shown:
        task = shown.add_task("masks", total=len(paired.keys), visible=data is not None)
        found = write_comparison(paired, out, data, lambda done, total: shown.update(task, completed=done, total=total))
    if as_json:
        tell_json(found)
        return
    for table in tables_of(found):
        if table.name in TOLD:
            titles = [column.title + ("#" if column.number else "") for column in table.columns]
            tell_table(table.title, titles, [[column.text(row) for column in table.columns] for row in table.rows])
    with speaking():
        for row in found["not_compared"][:20]:
            print(plain(f"not compared: {row['pairs']} x {row['label']} ({row['method']}: {row['reason']})"))
        print(plain(f"results in {out}/ (compare.html, tables, figures)"))
        print("research use only")
