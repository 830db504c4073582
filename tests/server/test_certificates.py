"""Certificates of our own making: kept, renewed, and trusted by a client that was told to."""

import ssl
import stat
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from vivavoce.config import Config, ConfigError
from vivavoce.runtime.clock import Clock
from vivavoce.server.app import Certificate, application
from vivavoce.server.certificates import Certificates, ensure_certificates
from vivavoce.testing.echo import Echo
from vivavoce.testing.server import running

DAY = 86400
NOW = 1_800_000_000.0


def contents(made: Certificates) -> tuple[bytes, bytes, bytes]:
    """What the three files hold."""
    return (
        made.cert_file.read_bytes(),
        made.key_file.read_bytes(),
        made.authority_file.read_bytes(),
    )


def test_they_are_made_once_and_kept(tmp_path: Path) -> None:
    first = contents(ensure_certificates(tmp_path / "tls", NOW))
    assert contents(ensure_certificates(tmp_path / "tls", NOW + 300 * DAY)) == first


def test_the_servers_is_renewed_in_time_and_the_authority_stays(tmp_path: Path) -> None:
    before = contents(ensure_certificates(tmp_path, NOW))
    after = contents(ensure_certificates(tmp_path, NOW + 368 * DAY))
    assert after[0] != before[0]
    assert after[2] == before[2]


def test_a_new_authority_signs_a_new_certificate(tmp_path: Path) -> None:
    before = contents(ensure_certificates(tmp_path, NOW))
    (tmp_path / "ca.key").unlink()
    made = ensure_certificates(tmp_path, NOW)
    assert all(new != old for new, old in zip(contents(made), before, strict=True))
    issuer, server = (
        x509.load_pem_x509_certificate(file.read_bytes())
        for file in (made.authority_file, made.cert_file)
    )
    server.verify_directly_issued_by(issuer)


def test_no_other_user_can_read_a_key(tmp_path: Path) -> None:
    ensure_certificates(tmp_path / "tls", NOW)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "tls").iterdir()}
    assert modes["server.key"] == modes["ca.key"] == 0o600
    assert sorted(modes) == ["ca.key", "ca.pem", "server.key", "server.pem"]
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NOW)
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"ca.pem or ca.key beside it is damaged; delete both"):
        ensure_certificates(tmp_path, NOW)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--tls: .*file"):
        ensure_certificates(tmp_path / "file", NOW)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # a name is looked up in a thread
async def test_a_client_that_trusts_the_authority_is_served(tmp_path: Path, name: str) -> None:
    made = ensure_certificates(tmp_path, Clock().wall())
    trust = ssl.create_default_context(cafile=str(made.authority_file))
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    app = application(Config(no_auth=True), lambda _: Echo())
    shown = Certificate(made.cert_file, made.key_file)
    async with (
        running(app, certificate=shown) as address,
        httpx.AsyncClient(verify=trust, trust_env=False) as client,
    ):
        assert address.url.startswith("https://")
        answer = await client.get(f"https://{name}:{address.port}/healthz")
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient(trust_env=False).get(f"{address.url}/healthz")
    assert answer.status_code == 200
