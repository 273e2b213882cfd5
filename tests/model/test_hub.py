"""Models from the Hub, against a local server that speaks its protocol."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathsegmentor.model.find import bundled

NANO = bundled()["nano"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    """One repository, ``lab/nano``: its file list and its files."""

    asked: list[str]
    spoiled: bool

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        type(self).asked.append(self.path)
        path = self.path.split("?")[0]
        files = {p.name: p.read_bytes() for p in NANO.iterdir()} | {"evil.pkl": b"x"}
        if path.startswith("/api/models/lab/nano/revision/"):
            content = json.dumps(
                {"id": "lab/nano", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            ).encode()
        elif path.startswith("/api/models/lab/nano/tree/"):
            content = json.dumps(
                [{"type": "file", "path": n, "size": len(c), "oid": "0"} for n, c in files.items()]
            ).encode()
        elif path.startswith(f"/lab/nano/resolve/{COMMIT}/"):
            content = files[path.rsplit("/", 1)[1]]
            if type(self).spoiled and path.endswith(".safetensors"):
                content = content[:-1] + b"?"
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def hub() -> Iterator[http.server.ThreadingHTTPServer]:
    Hub.asked, Hub.spoiled = [], False
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def load(server: http.server.ThreadingHTTPServer, home: Path, name: str, offline: str = "0") -> tuple[int, str]:
    """Load a model in a fresh process; exit code and what it said."""
    code = (
        "import sys; from pathsegmentor.errors import BadModel; from pathsegmentor.model.find import find_model\n"
        "try: print(find_model(sys.argv[1]).weights_sha256)\n"
        "except BadModel as error: print(error); sys.exit(2)"
    )
    environment = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": offline,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, name],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
    )
    return done.returncode, done.stdout.strip()


def test_a_model_is_downloaded_once_and_checked(hub: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    from pathsegmentor.model.find import find_model

    code, said = load(hub, tmp_path, "lab/nano")
    assert (code, said) == (0, find_model("nano").weights_sha256), said
    assert not any("evil.pkl" in path for path in Hub.asked), "only the parts of a model folder are fetched"
    Hub.asked.clear()
    assert load(hub, tmp_path, "lab/nano", offline="1")[0] == 0
    assert Hub.asked == []


def test_a_spoiled_download_is_refused(hub: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    Hub.spoiled = True
    code, said = load(hub, tmp_path, "lab/nano")
    assert code == 2 and "damaged" in said


def test_an_unknown_repository_is_one_line(hub: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    code, said = load(hub, tmp_path, "lab/other")
    assert code == 2 and "lab/other" in said and "\n" not in said
