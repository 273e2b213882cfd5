"""Talking with the Hub: files of one commit in, a folder out, and every failure one line.

What is fetched is compared with the hash that the Hub states. Tokens are the library's business: they come from
its login or ``HF_TOKEN``, and are never seen here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging as levels
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pathsegmentor.atomic import remove, sha256_of
from pathsegmentor.errors import BadModel, PathSegError
from pathsegmentor.model.foreign import shown

# Never a path that leaves the folder of models.
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_HASH = re.compile(r"[0-9a-f]{40}")
_LOGIN = "log in with 'hf auth login', or set HF_TOKEN"


def commit_of(repo: str) -> str:
    """The newest commit of a repository; raises ``BadModel`` if the Hub does not give it."""
    from huggingface_hub import HfApi

    with _answered(repo):
        commit = HfApi().model_info(repo).sha
    if commit is None:
        raise BadModel(f"the Hub names no commit of {repo}")
    return commit


def fetch(repo: str, commit: str, name: str, folder: Path, most: int) -> Path:
    """One file of a commit, of at most ``most`` bytes, into ``folder``; a file that is there already is kept.

    Raises ``BadModel`` if the Hub does not give it, or gives another one than it states.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    with _answered(f"{repo}: {name}"):
        stated = get_hf_file_metadata(hf_hub_url(repo, name, revision=commit))
        if stated.size is not None and stated.size > most:
            raise BadModel(f"{repo}: {name} has {stated.size:,} bytes, more than the {most:,} that are allowed")
        path = Path(hf_hub_download(repo, name, revision=commit, local_dir=folder))
        # The library compares sizes only.
        if not _is_stated(path, stated.etag or ""):
            remove(path)
            raise BadModel(f"{repo}: {name} came in damaged (its hash is not the one that the Hub states); try again")
    return path


def _is_stated(path: Path, tag: str) -> bool:
    """Large files are stored under their SHA-256, small ones under Git's hash; other tags say nothing."""
    if _SHA256.fullmatch(tag):
        return sha256_of(path) == tag
    if _GIT_HASH.fullmatch(tag):
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == tag
    return True


def forget(folder: Path) -> None:
    """Remove what the library noted about its downloads in a folder."""
    remove(folder / ".cache")


def give(files: Sequence[Path], repo: str, public: bool) -> str:
    """Upload files in one commit to a repository, which is made if it is missing; returns the commit's address."""
    from huggingface_hub import CommitOperationAdd, HfApi

    with _answered(repo):
        api = HfApi()
        api.create_repo(repo, private=not public, exist_ok=True)
        adds = [CommitOperationAdd(path_in_repo=path.name, path_or_fileobj=path) for path in files]
        done = api.create_commit(repo, operations=adds, commit_message="Upload a model with pathsegmentor")
    return str(done.commit_url)


@contextmanager
def _answered(what: str) -> Iterator[None]:
    """Turn whatever goes wrong on the way into ``BadModel`` of one line that begins with ``what``."""
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before, shy = logging.get_verbosity(), not sys.stderr.isatty() and not are_progress_bars_disabled()
    logging.set_verbosity(levels.ERROR)
    if shy:
        disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the disk is small; whether it was too small shows
            yield
    except PathSegError:
        raise
    except Exception as error:  # network, permission, disk: many classes, few meanings
        raise BadModel(f"{what}: {_why(error)}") from error
    finally:
        logging.set_verbosity(before)
        if shy:
            enable_progress_bars()


def _why(error: BaseException) -> str:
    """What a person can do about a failure; the library often wraps the one that counts."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for link in chain:
        told = _known(link)
        if told:
            return told
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    # Addresses of a CDN carry signatures after the question mark.
    return shown(re.sub(r"\?\S*", "", first), 200)[1:-1]


def _known(error: BaseException) -> str | None:
    from huggingface_hub import constants, errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, OSError) and error.errno in _FULL:
        return "the disk is full; make room and try again"
    if isinstance(error, errors.GatedRepoError):
        return f"its owner asks for conditions to be accepted: do that at {constants.ENDPOINT} and {_LOGIN}"
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return f"there is no such repository at {constants.ENDPOINT}, or it is private: {_LOGIN}"
    if isinstance(error, errors.EntryNotFoundError) and status == 404:
        return "the repository has no such file"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids the network"
    if status == 403:
        return f"you may not do that there: {_LOGIN}"
    if status is not None and status >= 400:
        return f"{constants.ENDPOINT} answers with HTTP {status}; try again later"
    if isinstance(error, json.JSONDecodeError):
        return f"{constants.ENDPOINT} answers in another way than the Hub; is that its address?"
    if "Consistency check failed" in str(error):
        return "it came in cut off; try again"
    if any(kind.__name__ in ("TimeoutException", "Timeout") for kind in type(error).__mro__):
        return f"{constants.ENDPOINT} does not answer in time; try again"
    if any(kind.__name__ in ("TransportError", "ConnectionError") for kind in type(error).__mro__):
        return f"{constants.ENDPOINT} cannot be reached, or breaks off; is there a network?"
    return None
