"""The Hugging Face hub, as far as pulling models needs it: what a repository holds, and its bytes.

`huggingface_hub` knows the addresses, the login and the connection; the bytes are read here, because
its own downloads throw a part away when they are interrupted, and a second run would begin anew.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path, PurePosixPath

from msgspec import Struct

from vivavoce import __version__
from vivavoce.models.catalogue import Source
from vivavoce.models.manifest import Digests

PATIENCE_S = 30  # for an answer, or for the next bytes of one

DIGEST = re.compile(r"[0-9a-f]{40,64}")  # git's name of a file, or the sha256 of its contents

Arrived = Callable[[int], None]


class HubError(Exception):
    """The hub cannot be used, or does not have it; the message says what to do."""


class Offered(Struct, frozen=True):
    """A file that a repository offers. Large files go by their sha256, small ones by git's name."""

    repository: str
    commit: str
    path: str
    place: str  # below the model's folder
    size: int
    sha256: str | None
    git_blob: str

    @property
    def key(self) -> str:
        """Names its contents, so that a part of it can be gone on with later."""
        return self.sha256 or self.git_blob

    def is_that(self, digests: Digests) -> bool:
        """Has a file of those digests these contents?"""
        return self.key in (digests.sha256, digests.git_blob)


class Hub:
    """The hub at *endpoint*; without one, that of HF_ENDPOINT or the public one."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint.rstrip("/") if endpoint else None

    def offers(self, source: Source) -> tuple[Offered, ...]:
        """The files that *source* asks for, at the commit that its revision now means."""
        _require_installed()
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._endpoint, library_name="vivavoce", library_version=__version__)
        with _told(source, self._address()):
            found = api.model_info(
                source.repository,
                revision=source.revision,
                files_metadata=True,
                timeout=PATIENCE_S,
            )
        offered = [
            Offered(
                repository=source.repository,
                commit=found.sha or source.revision,
                path=each.rfilename,
                place=_safe(each.rfilename, source),
                size=each.size or 0,
                sha256=_digest(each.lfs.sha256, each.rfilename, source) if each.lfs else None,
                git_blob=_digest(each.blob_id, each.rfilename, source)
                if each.blob_id or not each.lfs
                else "",
            )
            for each in found.siblings or ()
            if any(fnmatchcase(each.rfilename, pattern) for pattern in source.files)
        ]
        for pattern in source.files:
            if not any(fnmatchcase(file.path, pattern) for file in offered):
                raise HubError(
                    f"{source.repository} has no file {pattern} at revision {source.revision}"
                )
        return tuple(offered)

    def fetch(self, file: Offered, part: Path, arrived: Arrived) -> None:
        """Have the rest of *file* appended to *part*. As long as bytes come, a cut is gone on after."""
        source = Source(file.repository, file.commit, (file.path,))
        while (have := _size(part)) < file.size:
            try:
                self._stream(file, part, have, arrived)
            except _failures():
                if _size(part) > have:
                    continue
                with _told(source, self._address()):
                    raise
            if _size(part) <= have:
                raise HubError(f"{self._address()} sends nothing of {file.path}; try again later")

    def _stream(self, file: Offered, part: Path, have: int, arrived: Arrived) -> None:
        from huggingface_hub import get_session, hf_hub_url

        url = hf_hub_url(file.repository, file.path, revision=file.commit, endpoint=self._endpoint)
        headers = _headers()
        if have:
            headers["Range"] = f"bytes={have}-"
        with get_session().stream("GET", url, headers=headers, timeout=PATIENCE_S) as answer:
            if answer.status_code >= 400:
                raise HubError(
                    f"{self._address()} answers {answer.status_code} for {file.path} of "
                    f"{file.repository}; try again later"
                )
            resumed = answer.status_code == 206
            if have and not resumed:
                arrived(-have)
            with part.open("ab" if resumed else "wb") as out:
                for chunk in answer.iter_bytes():
                    out.write(chunk)
                    arrived(len(chunk))

    def _address(self) -> str:
        from huggingface_hub import constants

        return self._endpoint or str(constants.ENDPOINT)


def _require_installed() -> None:
    """Import it before its first use, and without its reports about this machine."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import_module("huggingface_hub")
    except ImportError:
        raise HubError(
            "pulling models needs huggingface_hub; pip install 'vivavoce[models]'"
        ) from None


def _headers() -> dict[str, str]:
    from huggingface_hub import constants, get_token

    headers = {"User-Agent": f"vivavoce/{__version__}", "Accept-Encoding": "identity"}
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers


def _failures() -> tuple[type[Exception], ...]:
    """What a connection fails with: the base of the errors of the HTTP client underneath."""
    from huggingface_hub.errors import HfHubHTTPError

    # Which client that is differs between releases, and only this class tells.
    return tuple(base for base in HfHubHTTPError.__bases__ if base is not OSError)


@contextmanager
def _told(source: Source, address: str) -> Iterator[None]:
    """Whatever goes wrong, told to a person."""
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise HubError("HF_HUB_OFFLINE is set; unset it, or give a folder as the model") from None
    except errors.RevisionNotFoundError:
        raise HubError(f"{source.repository} has no revision {source.revision}") from None
    except errors.RepositoryNotFoundError:
        raise HubError(
            f"{source.repository} is not at {address}, or is open only to who is let in; "
            "if you are, set HF_TOKEN"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise HubError(
            f"{address} answers {status} for {source.repository}; try again later"
        ) from None
    except _failures() as error:
        raise HubError(
            f"cannot reach {address}: {error or type(error).__name__}; see to the network, or set "
            "HF_ENDPOINT to a mirror"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise HubError(f"{address} does not answer as a hub does; see to HF_ENDPOINT") from None


def _safe(path: str, source: Source) -> str:
    """Where a file lies, which is below the model's folder."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise HubError(f"{source.repository} names a file {path!r}, which is not pulled")
    return path.removeprefix(source.above)


def _digest(digest: object, path: str, source: Source) -> str:
    """The digest of a file, which becomes the name of another and is therefore looked at."""
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise HubError(f"{source.repository} gives no digest of {path!r}, which is not pulled")
    return digest


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
