"""A local server that speaks the Hub's protocol, as far as models are got and given, and its faults.

Small files are answered by the server itself; large ones (LFS) by a redirect to a CDN, which is the same server under
another host name, as on the Hub itself.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secretsecretsecretsecretsecretsec"  # noqa: S105
LARGE = (".safetensors", ".pt")
CHUNK = 1 << 20


@dataclass
class Repo:
    """A repository: files by name, in memory or on the disk."""

    files: dict[str, bytes | Path] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    commit: str = COMMIT


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    method: str
    host: str
    path: str
    token: str


# Which path is spoiled, and how: a handler that is given the request, and answers for it if it returns True.
Fault = Callable[["Answer"], bool]


class Server(http.server.ThreadingHTTPServer):
    """The repositories, what was asked of them, and what goes wrong."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self.faults: dict[str, Fault] = {}
        self.multipart = False

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.server_address[1]}"

    @property
    def cdn(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def gets(self, part: str) -> list[Asked]:
        """Requests for bodies whose path holds a word."""
        return [asked for asked in self.asked if asked.method == "GET" and part in asked.path]

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no fault of this server."""


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def environment(server: Server, home: Path) -> dict[str, str]:
    """What a process is told so that this server is its Hub."""
    return {
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(home / "hf"),
        "PATHSEGMENTOR_MODELS": str(home / "models"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def sha256_of(content: bytes | Path) -> str:
    if isinstance(content, Path):
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(content).hexdigest()


class Answer(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _answer(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization") or ""
        host = str(self.headers.get("Host")).split(":")[0]
        self.server.asked.append(Asked(self.command, host, self.path, token))
        for part, fault in list(self.server.faults.items()):
            if part in self.path and fault(self):
                return
        path = self.path.split("?")[0].strip("/")
        if path.startswith("cdn/"):
            self._from_cdn(path.removeprefix("cdn/"))
        elif path.startswith("lfs/"):
            self._take(path.removeprefix("lfs/"))
        elif path == "api/validate-yaml":
            self.tell({"warnings": [], "errors": []})
        elif path == "api/repos/create":
            self._create()
        elif path.startswith("api/models/"):
            self._api(path.removeprefix("api/models/").split("/"))
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch()
        else:
            self._resolve(path.split("/"))

    # Answers

    def say(self, status: int, content: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def tell(self, value: Any) -> None:
        self.say(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, code: str = "", message: str = "") -> None:
        self.say(status, b"", {"X-Error-Code": code, "X-Error-Message": message})

    def _allowed(self, name: str) -> Repo | None:
        """The repository, or None after a refusal in the Hub's words."""
        repo, known = self.server.repos.get(name), self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not known):
            self.refuse(404 if known else 401, "RepoNotFound", "Repository not found")
            return None
        if repo.gated and self.command in ("GET", "HEAD") and "/resolve/" in self.path and not known:
            self.refuse(401, "GatedRepo", f"Access to model {name} is restricted. You must be authenticated")
            return None
        return repo

    # Getting

    def _api(self, parts: list[str]) -> None:
        name = "/".join(parts[:2])
        if parts[2:3] == ["preupload"]:
            files = json.loads(self.body)["files"]
            modes = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if f["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for f in files
            ]
            self.tell({"files": modes})
        elif parts[2:3] == ["commit"]:
            self._commit(name)
        elif (repo := self._allowed(name)) is not None:
            self.tell({"id": name, "sha": repo.commit, "siblings": [{"rfilename": file} for file in repo.files]})

    def _resolve(self, parts: list[str]) -> None:
        name, file = "/".join(parts[:2]), parts[-1]
        repo = self._allowed(name)
        if repo is None:
            return
        if parts[2] != "resolve" or parts[3] not in (repo.commit, "main"):
            self.refuse(404, "RevisionNotFound")
            return
        if file not in repo.files:
            self.refuse(404, "EntryNotFound")
            return
        content, commit = repo.files[file], {"X-Repo-Commit": repo.commit}
        if not file.endswith(LARGE):
            assert isinstance(content, bytes)
            tag = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            self.say(200, content, commit | {"ETag": f'"{tag}"'})
            return
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        where = f"{self.server.cdn}/cdn/{name}/{file}?X-Amz-Signature=secret"
        linked = {"X-Linked-Etag": f'"{sha256_of(content)}"', "X-Linked-Size": str(size), "Location": where}
        self.say(302, b"", commit | linked)

    def content_of(self, place: str) -> bytes | Path:
        name, _, file = place.rpartition("/")
        return self.server.repos[name].files[file]

    def _from_cdn(self, place: str) -> None:
        content = self.content_of(place)
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(size - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.end_headers()
        if isinstance(content, bytes):
            self.wfile.write(content[begin:])
            return
        with content.open("rb") as file:
            file.seek(begin)
            while piece := file.read(CHUNK):
                self.wfile.write(piece)

    # Giving

    def _create(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.refuse(401, "", "Invalid username or password.")
            return
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        there = name in self.server.repos
        if not there:
            self.server.repos[name] = Repo(private=bool(asked.get("private") or asked.get("visibility") == "private"))
        body = json.dumps({"url": f"{self.server.endpoint}/{name}"}).encode()
        self.say(409 if there else 200, body, {"Content-Type": "application/json"})

    def _batch(self) -> None:
        objects = []
        for asked in json.loads(self.body)["objects"]:
            if sha256_of(self.server.large.get(asked["oid"], b"")) == asked["oid"]:
                objects.append(asked)  # it is there already
                continue
            href = f"{self.server.endpoint}/lfs/{asked['oid']}"
            upload: dict[str, Any] = {"href": href}
            if self.server.multipart:
                half = -(-asked["size"] // 2)
                parts = {"1": f"{href}?part=1", "2": f"{href}?part=2"}
                upload = {"href": f"{href}?done=1", "header": {"chunk_size": str(half)} | parts}
            objects.append(asked | {"actions": {"upload": upload, "verify": {"href": f"{href}?verify=1"}}})
        self.tell({"transfer": "basic", "objects": objects})

    def _take(self, oid: str) -> None:
        """A large file, whole or in parts, and the question whether it came in whole."""
        if self.command == "PUT":
            self.server.large[oid] = self.server.large.get(oid, b"") + self.body
            self.say(200, b"", {"ETag": '"part"'})
            return
        whole = hashlib.sha256(self.server.large[oid]).hexdigest() == oid
        self.say(200 if whole else 400)

    def _commit(self, name: str) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.refuse(403, "", "Forbidden")
            return
        files: dict[str, bytes | Path] = {}
        for line in self.body.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        repo = self.server.repos[name]
        repo.files |= files
        repo.commit = hashlib.sha1(self.body, usedforsecurity=False).hexdigest()
        where = f"{self.server.endpoint}/{name}/commit/{repo.commit}"
        self.tell({"success": True, "commitUrl": where, "commitOid": repo.commit})


# Faults


def status(number: int) -> Fault:
    def fault(answer: Answer) -> bool:
        answer.refuse(number)
        return True

    return fault


def spoiled(answer: Answer) -> bool:
    """The right size, other bytes."""
    if answer.command != "GET":
        return False
    place = re.sub(r"/resolve/[0-9a-f]+", "", answer.path.split("?")[0]).removeprefix("/cdn").strip("/")
    content = answer.content_of(place)
    assert isinstance(content, bytes)
    answer.say(200, content[:-1] + bytes([content[-1] ^ 1]))
    return True


def cut_off(times: int) -> Fault:
    """The body breaks off in its middle this often; whoever asks for the rest gets the rest."""
    left = [times]

    def fault(answer: Answer) -> bool:
        if not left[0] or answer.command != "GET":
            return False
        left[0] -= 1
        content = answer.content_of(answer.path.split("?")[0].removeprefix("/cdn/"))
        assert isinstance(content, bytes)
        begin = int((answer.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        answer.send_response(206 if begin else 200)
        answer.send_header("Content-Length", str(len(content) - begin))
        answer.end_headers()
        answer.wfile.write(content[begin : begin + (len(content) - begin) // 2])
        answer.close_connection = True
        return True

    return fault


def silent(seconds: float, times: int = 1000) -> Fault:
    """Nothing comes for so long, this often."""
    left = [times]

    def fault(answer: Answer) -> bool:
        if left[0]:
            left[0] -= 1
            threading.Event().wait(seconds)  # tests switch off the sleeping of the library
        return False

    return fault
