"""A server of models that speaks OpenAI's HTTP API, as the engines in front of it see it.

One client over one pool of connections for all sessions, made once and away from the loop: its
import and its TLS context take hundreds of milliseconds. Connections are kept, so that a turn does
not begin with a handshake.

What the environment says about OpenAI (`OPENAI_API_KEY` and its like) is left alone: a key goes
only to the server it was configured for.
"""

import os
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

import anyio

from vivavoce.engines.api import EngineFailure
from vivavoce.engines.server_sent import MidAnswerFailure

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

Value = TypeVar("Value")

KEPT_S = 120.0  # for an idle connection; balancers in the cloud forget one after 240 s
LONGEST_RETRY_S = 2.0  # a person who talks waits no longer for a second try
LONGEST_QUOTE = 200  # characters of what a server says about its error
NO_KEY = "no-key"  # the client insists on one, and servers that ask for none ignore it
VERSIONED = re.compile(r"/v\d\w*(/|$)")
ENDPOINT = re.compile(r"/(chat/completions|completions|models|audio/\w+)$")
CODES = frozenset(  # of a server's errors, those that mean the same to a client of ours
    ("rate_limit_exceeded", "insufficient_quota", "context_length_exceeded", "content_filter")
)


class ModelServer:
    """One server of models: its client while it is entered, and its errors in plain words."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        key_env: str | None = None,
        azure_api_version: str | None = None,
        connect_s: float = 5.0,
        first_s: float = 30.0,
        silence_s: float = 30.0,
        retries: int = 2,
        connections: int = 256,
    ) -> None:
        """Describe the server at *url*, given with or without `/v1`; ValueError if that cannot be.

        The key is *key*, or what the environment variable *key_env* holds. With
        *azure_api_version*, *url* is the endpoint of an Azure OpenAI resource. A connection has to
        be there within *connect_s*; see `paced` for the other two. Whatever fails before the first
        byte of an answer is tried again so many times.
        """
        self.url, self.address = _read(url, azure=azure_api_version is not None)
        self._key = _key(key, key_env)
        self._azure_api_version = azure_api_version
        self._connect_s = connect_s
        self._first_s = first_s
        self._silence_s = silence_s
        self._retries = retries
        self._connections = connections
        self._client: AsyncOpenAI | None = None
        self._models: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """Where it is; without key or password."""
        return self.address

    @property
    def client(self) -> "AsyncOpenAI":
        """The official client."""
        if self._client is None:
            raise EngineFailure(f"the model server at {self.address} is not in use")
        return self._client

    async def __aenter__(self) -> Self:
        self._client = await anyio.to_thread.run_sync(self._made)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            with anyio.CancelScope(shield=True):
                await client.close()

    async def models(self) -> tuple[str, ...]:
        """The models it offers, by name, in its own order."""
        with self.failures():
            page = await self.client.models.list()
        # Some servers write null for a list that is empty.
        self._models = tuple(each.id for each in page.data or ())
        return self._models

    async def paced(self, values: AsyncGenerator[Value, None]) -> AsyncGenerator[Value, None]:
        """The same values; EngineFailure if the server keeps silent, or for what else goes wrong.

        The generator has to open its request itself, for the first value, which has to come within
        *first_s*, retries and all. Each further one has *silence_s*.
        """
        patience_s, waited_for = self._first_s, "did not begin to answer within"
        async with aclosing(values):
            while True:
                with self.failures():
                    try:
                        with anyio.fail_after(patience_s):
                            value = await anext(values)
                    except StopAsyncIteration:
                        return
                    except TimeoutError:
                        raise EngineFailure(
                            f"the model server at {self.address} {waited_for} {patience_s:g} s"
                        ) from None
                yield value
                patience_s, waited_for = self._silence_s, "fell silent in mid-answer for"

    @contextmanager
    def failures(self, model: str | None = None) -> Iterator[None]:
        """Turn what the client raises inside into EngineFailure, in words for its operator.

        *model* is the one that was asked for.
        """
        import httpx2
        import openai

        try:
            yield
        except MidAnswerFailure as failure:
            raise failure.without(self._key) from None
        except openai.APIStatusError as error:
            raise self._refused(error, model) from None
        except openai.APIConnectionError as error:
            raise self._lost(error.__cause__ or error) from None
        except openai.APIError as error:
            said = _said(error, self._key)
            raise EngineFailure(
                f"the model server at {self.address} failed in mid-answer: {said}",
                code=_code(error),
            ) from None
        except httpx2.HTTPError as error:
            raise self._lost(error) from None
        except (openai.OpenAIError, httpx2.StreamError, ValueError) as error:
            raise EngineFailure(
                f"the model server at {self.address} gave what is no answer "
                f"({type(error).__name__}); is it one that speaks OpenAI's API?"
            ) from None

    def _made(self) -> "AsyncOpenAI":
        """The client; slow, and therefore for a thread."""
        import httpx2
        import openai

        # The longest that anybody waits; `paced` is what watches a stream.
        read_s = max(self._first_s, self._silence_s) + 1
        http_client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(read_s, connect=self._connect_s, pool=self._connect_s),
            limits=httpx2.Limits(
                max_connections=self._connections,
                max_keepalive_connections=self._connections,
                keepalive_expiry=KEPT_S,
            ),
            follow_redirects=True,
            event_hooks={"response": [_retry_soon_or_never]},
        )
        key, retries = self._key or NO_KEY, self._retries
        client: openai.AsyncOpenAI
        if self._azure_api_version is not None:
            client = openai.AsyncAzureOpenAI(
                azure_endpoint=self.url,
                api_version=self._azure_api_version,
                api_key=key,
                max_retries=retries,
                http_client=http_client,
            )
        else:
            client = openai.AsyncOpenAI(
                base_url=self.url, api_key=key, max_retries=retries, http_client=http_client
            )
        client.organization = client.project = None
        # What the first request would otherwise import and look up on the loop.
        _ = client.chat.completions, client.models, client.audio.speech, client.audio.transcriptions
        client.platform_headers()
        return client

    def _lost(self, error: BaseException) -> EngineFailure:
        """Why there is no connection, or no longer."""
        import httpx2

        where = f"the model server at {self.address}"
        match error:
            case httpx2.ConnectTimeout():
                message = (
                    f"{where} took no connection within {self._connect_s:g} s; "
                    "see whether it runs, and whether `url` is right"
                )
            case httpx2.PoolTimeout():
                message = (
                    f"all {self._connections} connections to {where} are in use; "
                    "`connections` allows more"
                )
            case httpx2.TimeoutException():
                message = f"{where} did not answer in time"
            case httpx2.ConnectError():
                message = (
                    f"there is no model server at {self.address} ({_brief(str(error), None)}); "
                    "start one there or correct `url`"
                )
            case _:
                message = f"{where} broke off the connection ({type(error).__name__})"
        return EngineFailure(message)

    def _refused(self, error: Any, model: str | None) -> EngineFailure:  # an openai.APIStatusError
        where, status = f"the model server at {self.address}", error.status_code
        said = _said(error, self._key)
        if status in (401, 403) and self._key is None:
            message = f"{where} asks for a key; give it as `key`, or the name of its variable as `key_env`"
        elif status in (401, 403):
            # Its own words may quote the key.
            message = f"{where} refuses the key ({status}); correct `key` or what `key_env` names"
        elif status == 404 and model is not None and _about_model(error, said):
            there = f"; there are: {', '.join(self._models)}" if self._models else ""
            message = f"{where} has no model {model!r}{there}"
        elif status == 404:
            message = f"{where} has nothing at {error.request.url.path}; is `url` right?"
        elif status == 429:
            wait = error.response.headers.get("retry-after")
            again = f"; it may be asked again in {wait} s" if wait and wait.isdigit() else ""
            message = f"{where} has too much to do{again}: {said}"
        elif status >= 500:
            message = f"{where} failed ({status}): {said}"
        else:
            message = f"{where} refuses the request ({status}): {said}"
        return EngineFailure(message, code=_code(error))


def _read(url: str, *, azure: bool) -> tuple[str, str]:
    """The base of its requests, and how to call it in front of people."""
    # These two first, and without a quotation, for they may be about a secret.
    if "@" in url:
        raise ValueError("url: a name or password has no place in it; give the key as `key_env`")
    if "?" in url or "#" in url:
        raise ValueError(
            "url: nothing may follow its path; give a key as `key_env`, and the version that Azure "
            "asks for as `azure_api_version`"
        )
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url: something like http://127.0.0.1:11434/v1 is needed, not {url!r}")
    path = ENDPOINT.sub("", parts.path.rstrip("/"))
    if azure:
        path = re.sub(r"/openai(/v1)?$", "", path)
    elif not VERSIONED.search(path):
        path += "/v1"
    base = SplitResult(parts.scheme, parts.netloc, path, "", "").geturl()
    return base, base


def _key(key: str | None, key_env: str | None) -> str | None:
    if key is not None and key_env is not None:
        raise ValueError("key and key_env: one of the two is enough")
    if key_env is None:
        return key or None
    if not os.environ.get(key_env):
        raise ValueError(f"key_env: there is no environment variable {key_env}, or it is empty")
    return os.environ[key_env]


async def _retry_soon_or_never(response: "httpx2.Response") -> None:
    """Keep the client from sleeping through what the server asks it to wait, up to two minutes."""
    headers = response.headers
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (wait := headers.get(name)) is not None and _seconds(wait) * unit_s > LONGEST_RETRY_S:
            headers["x-should-retry"] = "false"


def _seconds(wait: str) -> float:
    try:
        return float(wait)
    except ValueError:  # a date
        return float("inf")


def _body(error: Any) -> dict[str, Any]:  # an openai.APIError
    """What the server wrote about its error; shapes differ, most are an object."""
    return error.body if isinstance(error.body, dict) else {}


def _said(error: Any, key: str | None) -> str:
    body = _body(error)
    for words in (body.get("message"), body.get("detail"), body.get("error"), error.body):
        if isinstance(words, str) and words.strip():
            return _brief(words, key)
    return "it does not say why"


def _brief(words: str, key: str | None) -> str:
    line = " ".join(words.split())
    if key:
        line = line.replace(key, "***")
    return line if len(line) <= LONGEST_QUOTE else f"{line[:LONGEST_QUOTE]}..."


def _code(error: Any) -> str:
    """The code that a client of ours gets to see."""
    code = _body(error).get("code")
    if code in CODES:
        return str(code)
    return "rate_limit_exceeded" if getattr(error, "status_code", 0) == 429 else "server_error"


def _about_model(error: Any, said: str) -> bool:
    told = f"{_body(error).get('code')} {said}".lower()
    return "model" in told or "deployment" in told
