"""Models from and to the Hub and plain folders, against a local server that speaks its protocol."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model import catalog
from pathsegmentor.model.catalog import Checkpoint
from pathsegmentor.model.find import bundled, find_model
from pathsegmentor.model.folder import SUMS, WEIGHTS, load_model, write_sums
from pathsegmentor.model.pull import pull
from pathsegmentor.model.store import pulled
from tests.cli.conftest import Done, here  # noqa: F401
from tests.model.hub_server import (
    TOKEN,
    Answer,
    Fault,
    Repo,
    Server,
    cut_off,
    environment,
    serving,
    sha256_of,
    silent,
    spoiled,
    status,
)
from tests.model.small import LABELS, SMALL, released, small_model, small_words, weights

NANO = bundled()["nano"]
LAB = "lab/small"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The Hub of this process, with a small model in ``lab/small``; there is no token, and nobody sleeps."""
    with serving() as hub:
        folder = small_model(tmp_path / "made")
        hub.repos[LAB] = Repo({path.name: path.read_bytes() for path in folder.iterdir()} | {"evil.pkl": b"x"})
        for name, value in environment(hub, tmp_path).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_URL_HOSTS", frozenset({"localhost"}))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
        yield hub


def place(tmp_path: Path, name: str = LAB) -> Path:
    return tmp_path / "models" / name


def everything(folder: Path) -> list[str]:
    """Model files and hidden ones below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def refused(tmp_path: Path, *says: str, source: str = LAB) -> None:
    """One line; no model of that name, and none that anybody would take for one."""
    with pytest.raises(BadModel) as told:
        pull(source)
    text = str(told.value)
    assert text.isprintable() and len(text) < 400 and all(part in text for part in says), text
    assert TOKEN not in text and "Signature" not in text
    assert not place(tmp_path, Path(source).name if Path(source).is_absolute() else source).exists()


# Getting


def test_a_model_of_the_hub_is_pulled_once_and_used_offline(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = pull(LAB)
    assert done.name == LAB and done.folder == place(tmp_path)
    assert everything(done.folder) == sorted(path.name for path in (tmp_path / "made").iterdir())
    assert not server.gets("evil.pkl"), "only what the list of hashes names is fetched"
    assert [path.name for path in place(tmp_path).parent.iterdir()] == ["small"], "nothing is left beside it"
    server.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = find_model(LAB)
    assert model.name == LAB and not server.asked
    assert all(torch.equal(value, weights()[name]) for name, value in model.net.state_dict().items())


def test_naming_a_model_of_the_hub_pulls_it(server: Server, tmp_path: Path) -> None:
    assert find_model(LAB).folder == place(tmp_path)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_newer_version_takes_the_place_of_the_older(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    """Also where the system cannot let two folders change places in one step."""
    if not can_exchange:
        monkeypatch.setattr("pathsegmentor.model.store.exchange", lambda *_: False)
    pull(LAB)
    made = tmp_path / "made"
    (made / "README.md").write_text("# Second\n")
    write_sums(made)
    server.repos[LAB] = Repo({path.name: path.read_bytes() for path in made.iterdir()}, commit="1" * 40)
    pull(LAB)
    assert (place(tmp_path) / "README.md").read_text() == "# Second\n"
    load_model(place(tmp_path))
    assert [path.name for path in place(tmp_path).parent.iterdir()] == ["small"]


def test_the_cdn_gets_no_token(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    server.repos[LAB].private = True
    pull(LAB)
    tokens = {asked.host: asked.token for asked in server.asked}
    assert tokens == {"localhost": f"Bearer {TOKEN}", "127.0.0.1": ""}


def no_hub(answer: Answer) -> bool:
    """A captive portal, say."""
    answer.say(200, b"<html>Welcome</html>")
    return True


FAULTS: dict[str, tuple[str, Fault, tuple[str, ...]]] = {
    "500 at once": ("/api/models", status(500), ("HTTP 500", "try again later")),
    "503 of a file": ("/cdn/", status(503), ("model.safetensors", "HTTP 503")),
    "403": ("/api/models", status(403), ("you may not", "hf auth login")),
    "404 of a file": ("/cdn/", status(404), ("model.safetensors", "HTTP 404")),
    "wrong sha": ("/cdn/", spoiled, ("model.safetensors", "damaged", "the Hub states")),
    "wrong hash of a small file": ("/vocabulary.json", spoiled, ("vocabulary.json", "damaged", "the Hub states")),
    "breaks off for good": ("/cdn/", cut_off(10**6), ("model.safetensors", "breaks off")),
    "no Hub at all": ("/api/models", no_hub, ("another way than the Hub",)),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_the_server_is_one_line_and_the_next_try_is_whole(
    server: Server, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, fault, says = FAULTS[kind]
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    server.faults[part] = fault
    refused(tmp_path, *says)
    server.faults.clear()
    pull(LAB)
    load_model(place(tmp_path))


def test_a_token_that_no_header_can_hold_is_not_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN[:20]}\xe9{TOKEN[20:]}")
    with pytest.raises(BadModel) as told:
        pull(LAB)
    assert "secret" not in str(told.value) and str(told.value).isprintable()


def test_a_body_that_breaks_off_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.faults["/cdn/"] = cut_off(3)
    pull(LAB)
    load_model(place(tmp_path))
    assert len(server.gets("/cdn/")) == 4


def test_a_second_try_keeps_what_came_in_whole(server: Server, tmp_path: Path) -> None:
    server.faults["tokenizer.json"] = status(500)
    refused(tmp_path, "tokenizer.json")
    assert len(server.gets("/cdn/")) == 1
    server.faults.clear()
    pull(LAB)
    assert len(server.gets("/cdn/")) == 1, "the weights are not fetched again"


def test_a_server_that_stays_silent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    server.faults["/cdn/"] = silent(0.5)
    refused(tmp_path, "does not answer in time")
    server.faults["/cdn/"] = silent(0.5, times=2)
    pull(LAB)
    load_model(place(tmp_path))


def test_no_network(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://localhost:9")
    refused(tmp_path, "http://localhost:9 cannot be reached")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused(tmp_path, "HF_HUB_OFFLINE forbids the network")


def test_repositories_that_are_not_there_or_not_for_us(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(tmp_path, "lab/other", "or it is private", "HF_TOKEN", source="lab/other")
    assert not list(place(tmp_path).parent.iterdir()), "nothing came in, and nothing stays"
    server.repos[LAB].private = True
    refused(tmp_path, "or it is private")
    server.repos[LAB] = replace(server.repos[LAB], private=False, gated=True)
    refused(tmp_path, "conditions to be accepted", server.endpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrongwrongwrongwrongwron")
    refused(tmp_path, "lab/other", source="lab/other")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pull(LAB)


def no_model_folders(files: dict[str, bytes | Path]) -> dict[str, tuple[dict[str, bytes | Path], str]]:
    many = b"".join(b"%064d  file-%d\n" % (0, i) for i in range(100))
    sums = files[SUMS]
    assert isinstance(sums, bytes)
    return {
        "no list": ({WEIGHTS: files[WEIGHTS]}, "SHA256SUMS: the repository has no such file"),
        "short list": ({SUMS: f"{'0' * 64}  config.json\n".encode()}, "does not name model.safetensors"),
        "endless list": (files | {SUMS: many + sums}, "names 105 files"),
        "path in the list": (files | {SUMS: f"{'0' * 64}  ../../evil\n".encode()}, "is no line of the form"),
        "another file": (files | {"config.json": b"{}"}, "config.json is damaged"),
        "lost file": (
            {k: v for k, v in files.items() if k != "vocabulary.json"},
            "vocabulary.json: the repository has no",
        ),
    }


@pytest.mark.parametrize("kind", no_model_folders({SUMS: b"", WEIGHTS: b""}))
def test_what_is_no_model_folder(server: Server, tmp_path: Path, kind: str) -> None:
    files, says = no_model_folders(server.repos[LAB].files)[kind]
    server.repos["lab/other"] = Repo(files)
    refused(tmp_path, says, source="lab/other")


def test_a_file_that_is_said_to_be_endless_is_not_fetched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathsegmentor.model.pull.MOST_WEIGHTS_BYTES", 1000)
    refused(tmp_path, "model.safetensors has", "more than the 1,000")
    assert not server.gets("/cdn/")


def test_a_full_disk(server: Server, tmp_path: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        done = here("models", "pull", LAB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.code == 2 and "the disk is full" in done.err and len(done.err.splitlines()) == 1, done.err
    assert not place(tmp_path).exists()
    assert here("models", "pull", LAB).code == 0


def test_two_at_once(server: Server, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    part = place(tmp_path).parent / ".small.part"
    part.mkdir(parents=True)
    number = os.open(part, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    try:
        with pytest.raises(BadInput, match="another process is writing"):
            pull(LAB)
    finally:
        os.close(number)
    pull(LAB)


# Plain folders


def test_a_plain_folder_goes_in_and_out(server: Server, tmp_path: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    made = tmp_path / "made"
    (made / "notes.txt").write_text("mine")
    assert here("models", "pull", made).code == 0
    assert everything(place(tmp_path, "made")) == sorted({p.name for p in made.iterdir()} - {"notes.txt"})
    out = tmp_path / "deep" / "copy"
    assert here("models", "push", "made", "--out", out).code == 0
    assert everything(out) == everything(place(tmp_path, "made"))
    again = here("models", "push", "made", "--out", out)
    assert again.code == 2 and "is there already" in again.err
    names = [row["name"] for row in here("models", "--json").json]
    assert names == ["nano", "made"] and not server.asked


def test_a_damaged_folder_goes_nowhere(server: Server, tmp_path: Path) -> None:
    made = tmp_path / "made"
    content = (made / WEIGHTS).read_bytes()
    (made / WEIGHTS).write_bytes(content[:-1] + b"?")
    refused(tmp_path, "is damaged", source=str(made))
    assert not (tmp_path / "models").exists()


def test_names_that_mean_something_else(server: Server, tmp_path: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    shutil.copytree(tmp_path / "made", tmp_path / "nano")
    done = here("models", "pull", tmp_path / "nano")
    assert done.code == 2 and "bundled model; add --out" in done.err
    done = here("models", "pull", "nothing")
    assert done.code == 2 and "is nothing to pull; give biomedparse-v1" in done.err
    assert here("models", "pull", "").code == 2
    for name in ("../x", "lab/..", "./x", "a/b/c", "lab/.x", "-x/y"):
        done = here("models", "pull", "--", name)
        assert done.code == 2 and "is nothing to pull" in done.err, done.err
        assert here("prompts", "--model", name).code == 2
    assert not (tmp_path / "models").exists()
    done = here("segment", "x.png", "glands", "--model", "biomedparse-v1")
    assert done.code == 2 and not server.asked


# Released checkpoints


def checkpoint() -> Checkpoint:
    """A small one, with a prompt of its own."""
    config = replace(SMALL, prompts={LABELS[1]: "neoplastic cells in breast pathology"})
    return Checkpoint(
        repo="lab/parse",
        file="released.pt",
        tokenizer_repo="lab/words",
        tokenizer_file="tokenizer.json",
        licence="cc-by-nc-sa-4.0",
        config=config,
        labels=tuple(LABELS[:2]),
        reads={"gland": (1,)},
    )


@pytest.fixture
def parse(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server with a small released checkpoint under the name of the large one."""
    monkeypatch.setitem(catalog.CHECKPOINTS, "biomedparse-v1", checkpoint)
    torch.save(released(), tmp_path / "released.pt")
    server.repos["lab/parse"] = Repo({"released.pt": (tmp_path / "released.pt").read_bytes()})
    server.repos["lab/words"] = Repo({"tokenizer.json": small_words().to_str().encode()})
    return server


def test_a_released_checkpoint_is_converted_once_and_ready(
    parse: Server,
    tmp_path: Path,
    here: Callable[..., Done],  # noqa: F811
    example_images: Path,
) -> None:
    before = here("prompts", "--model", "biomedparse-v1")
    assert before.code == 2 and "pathsegmentor models pull biomedparse-v1" in before.err
    assert here("models", "pull", "biomedparse-v1").code == 0
    folder = place(tmp_path, "biomedparse-v1")
    assert [path.name for path in folder.parent.iterdir()] == ["biomedparse-v1"], "the checkpoint itself is not kept"
    card = (folder / "README.md").read_text()
    assert "license: cc-by-nc-sa-4.0" in card and sha256_of((tmp_path / "released.pt").read_bytes()) in card
    model = find_model("biomedparse-v1")
    assert [label.id for label in model.vocabulary] == LABELS[:2]
    assert all(torch.equal(value, weights()[name]) for name, value in model.net.state_dict().items())
    assert load_file(folder / "unused.safetensors").keys() == {"criterion.empty_weight"}
    prompts = {row["label"]: row["prompt"] for row in here("prompts", "--model", "biomedparse-v1", "--json").json}
    assert prompts[LABELS[1]] == "neoplastic cells in breast pathology"
    assert prompts[LABELS[0]] == "tissue-level gland in colon pathology", "others keep the paper's template"


def test_a_models_own_prompts_are_what_it_is_asked(parse: Server, tmp_path: Path) -> None:
    from pathsegmentor.segment import Segmenter

    folder = pull("biomedparse-v1").folder
    segmenter = Segmenter(load_model(folder))
    asked: list[str] = []
    tokenizer = segmenter.model.tokenizer

    class Listening:
        def encode_batch(self, texts: list[str]) -> object:
            asked.extend(texts)
            return tokenizer.encode_batch(texts)

    object.__setattr__(segmenter.model, "tokenizer", Listening())
    segmenter._text([LABELS[1], LABELS[0]])
    assert asked == ["neoplastic cells in breast pathology", "tissue-level gland in colon pathology"]


def test_another_tokenizer_is_refused_before_the_weights_come(parse: Server, tmp_path: Path) -> None:
    parse.repos["lab/words"].files["tokenizer.json"] = (NANO / "tokenizer.json").read_bytes()
    refused(tmp_path, "lab/words", "it is not the tokenizer of released.pt", source="biomedparse-v1")
    assert not parse.gets("released.pt")
    parse.repos["lab/words"].files["tokenizer.json"] = small_words().to_str().encode()
    pull("biomedparse-v1")


def test_a_checkpoint_that_is_none_leaves_no_model(parse: Server, tmp_path: Path) -> None:
    parse.repos["lab/parse"].files["released.pt"] = b"no zip"
    refused(tmp_path, "released.pt", "no zip archive", source="biomedparse-v1")
    parse.repos["lab/parse"] = Repo({"released.pt": (tmp_path / "released.pt").read_bytes()}, commit="2" * 40)
    pull("biomedparse-v1")


def test_the_catalog_is_what_the_released_weights_were_taught() -> None:
    made = catalog.CHECKPOINTS["biomedparse-v1"]()
    assert (made.repo, made.file) == ("microsoft/BiomedParse", "biomedparse_v1.pt")
    prompts = made.config.prompts
    assert set(prompts) == set(made.labels) and len(made.labels) > 60
    assert prompts["breast-nuclei-neoplastic"] == "neoplastic cells in breast pathology"
    assert prompts["bile duct-nuclei-connective"] == "connective tissue cells in bile duct pathology"
    assert prompts["colon-tissue-gland"] == "glandular structure in colon pathology"
    assert not any("dead" in label or label.startswith("unspecified") for label in made.labels)
    assert len(set(prompts.values())) == len(prompts)


# Giving


@pytest.mark.parametrize("multipart", [False, True])
def test_a_model_is_pushed_and_comes_back_the_same(
    server: Server,
    tmp_path: Path,
    here: Callable[..., Done],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    multipart: bool,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    server.multipart = multipart
    (tmp_path / "made" / "notes.txt").write_text("mine")
    done = here("models", "push", tmp_path / "made", "--hub", "lab/given")
    assert done.code == 0 and "/lab/given/commit/" in done.out and TOKEN not in done.out + done.err
    assert server.repos["lab/given"].private and "notes.txt" not in server.repos["lab/given"].files
    pull("lab/given")
    back, made = place(tmp_path, "lab/given"), tmp_path / "made"
    assert all((back / name).read_bytes() == (made / name).read_bytes() for name in everything(back))
    assert find_model("lab/given").weights_sha256 == load_model(made).weights_sha256


def test_pushing_again_replaces_files_and_not_what_the_repository_is(
    server: Server,
    tmp_path: Path,
    here: Callable[..., Done],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert here("models", "push", tmp_path / "made", "--hub", "lab/given", "--public").code == 0
    assert not server.repos["lab/given"].private
    (tmp_path / "made" / "README.md").write_text("# Second\n")
    write_sums(tmp_path / "made")
    assert here("models", "push", tmp_path / "made", "--hub", "lab/given").code == 0
    repo = server.repos["lab/given"]
    assert not repo.private and repo.files["README.md"] == b"# Second\n"


PUSHES: dict[str, tuple[str, Fault, tuple[str, ...]]] = {
    "500": ("/api/repos/create", status(500), ("HTTP 500",)),
    "403": ("/commit/", status(403), ("you may not", "hf auth login")),
    "upload fails": ("/lfs/", status(400), ("HTTP 400",)),
}


@pytest.mark.parametrize("kind", PUSHES)
def test_a_push_that_fails_changes_nothing(
    server: Server,
    tmp_path: Path,
    here: Callable[..., Done],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    part, fault, says = PUSHES[kind]
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    server.faults[part] = fault
    done = here("models", "push", tmp_path / "made", "--hub", LAB)
    assert done.code == 2 and len(done.err.splitlines()) == 1 and all(part in done.err for part in says), done.err
    assert TOKEN not in done.out + done.err and server.repos[LAB].files["evil.pkl"] == b"x"
    assert server.repos[LAB].commit.startswith("0123")


def test_what_cannot_be_pushed(server: Server, tmp_path: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    made = tmp_path / "made"
    done = here("models", "push", made, "--hub", "lab/given")
    assert done.code == 2 and "log in with 'hf auth login'" in done.err, done.err
    server.asked.clear()
    for arguments, says in (
        ((), "say where to"),
        (("--hub", LAB, "--out", tmp_path / "x"), "say where to"),
        (("--hub", "not a name"), "is no Hub id"),
    ):
        done = here("models", "push", made, *arguments)
        assert done.code == 2 and says in done.err and not server.asked
    (made / "config.json").write_text("{}")
    done = here("models", "push", made, "--hub", LAB)
    assert done.code == 2 and "is damaged" in done.err and not server.asked


# As a user's own process


def command(server: Server, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pathsegmentor", "models", "pull", LAB],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment(server, home),
    )


def test_the_command_itself(server: Server, tmp_path: Path) -> None:
    process = command(server, tmp_path)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), err
    assert out.endswith("use it with --model lab/small\n")


@pytest.mark.slow
def test_a_pull_that_is_killed_leaves_no_model(server: Server, tmp_path: Path) -> None:
    come, go = threading.Event(), threading.Event()

    def half(answer: Answer) -> bool:
        """The first half of the weights, and then nothing."""
        content = server.repos[LAB].files[WEIGHTS]
        assert isinstance(content, bytes)
        answer.send_response(200)
        answer.send_header("Content-Length", str(len(content)))
        answer.end_headers()
        answer.wfile.write(content[: len(content) // 2])
        come.set()
        go.wait(60)
        return True

    server.faults["/cdn/"] = half
    process = command(server, tmp_path)
    assert come.wait(60)
    process.kill()
    process.communicate(timeout=60)
    go.set()
    assert not place(tmp_path).exists() and not pulled()
    server.faults.clear()
    pull(LAB)
    load_model(place(tmp_path))
    assert [path.name for path in place(tmp_path).parent.iterdir()] == ["small"]
