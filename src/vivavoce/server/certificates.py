"""A certificate for this machine, signed by an authority of its own, kept in the data folder.

Clients trust the authority's certificate, which lives for ten years. The server's own is renewed
whenever a month or less is left of it, and nobody has to be told.
"""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from vivavoce.config import ConfigError

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397  # the most that browsers accept
RENEW_DAYS = 30
NAMES = ("localhost", "127.0.0.1", "::1")
NAME = "Viva Voce local"
CLOCK_SKEW = timedelta(hours=1)

Key = ec.EllipticCurvePrivateKey


class Certificates(Struct, frozen=True):
    """PEM files: what the server shows, its key, and what its clients have to trust."""

    cert_file: Path
    key_file: Path
    authority_file: Path


class _Signed(Struct, frozen=True):
    certificate: x509.Certificate
    key: Key


def ensure_certificates(folder: Path, now: float) -> Certificates:
    """The certificates in *folder*, made or renewed as of Unix time *now* where that is needed."""
    today = datetime.fromtimestamp(now, UTC)
    made = Certificates(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _read(folder / "ca.pem", folder / "ca.key", today)
        if authority is None:
            authority = _authority(today)
            _write(folder / "ca.pem", folder / "ca.key", authority)
        server = _read(made.cert_file, made.key_file, today)
        if server is None or server.certificate.issuer != authority.certificate.subject:
            _write(made.cert_file, made.key_file, _server(authority, today))
    except OSError as error:
        raise ConfigError(f"--tls: {error.filename or folder}: {error.strerror}") from error
    return made


def _read(cert_file: Path, key_file: Path, today: datetime) -> _Signed | None:
    """What is kept, None where it has to be made anew."""
    try:
        certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError(
            f"--tls: {cert_file} or {key_file.name} beside it is damaged; delete both"
        ) from error
    left = certificate.not_valid_after_utc - today
    if not isinstance(key, Key) or left <= timedelta(days=RENEW_DAYS):
        return None
    return _Signed(certificate, key)


def _write(cert_file: Path, key_file: Path, signed: _Signed) -> None:
    private = signed.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _replace(key_file, private, 0o600)
    _replace(cert_file, signed.certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Write all of it or nothing, never readable by more than *mode* says."""
    fresh = path.with_suffix(f"{path.suffix}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)


def _authority(today: datetime) -> _Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    # The serial number keeps two authorities apart in a client's store, should one be made anew.
    serial = x509.random_serial_number()
    name = _name(f"{NAME} authority {serial:x}"[:64])
    certificate = (
        _builder(key, name, name, serial, today, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _Signed(certificate, key)


def _server(authority: _Signed, today: datetime) -> _Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    issuer = authority.certificate.subject
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(key, _name("localhost"), issuer, serial, today, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives()), critical=False)
        .add_extension(issued_by, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _Signed(certificate, key)


def _builder(
    key: Key, subject: x509.Name, issuer: x509.Name, serial: int, today: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(today - CLOCK_SKEW)
        .not_valid_after(today + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternatives() -> list[x509.GeneralName]:
    return [
        x509.DNSName(name) if name == "localhost" else x509.IPAddress(ipaddress.ip_address(name))
        for name in NAMES
    ]


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
