"""An authority of one's own, and a certificate for 127.0.0.1 by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make the files; return those of the authority, the certificate and its key."""
    now = datetime.now(UTC)  # noqa: TID251 - TLS judges by this machine's clock
    authority, server = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    ca = folder / "ca.pem"
    ca.write_bytes(_certificate("test authority", authority, "test authority", authority, now, is_ca=True))
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(_certificate("127.0.0.1", server, "test authority", authority, now, is_ca=False))
    key.write_bytes(server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ca, certificate, key


def _certificate(
    subject: str,
    own: EllipticCurvePrivateKey,
    issuer: str,
    signer: EllipticCurvePrivateKey,
    now: datetime,
    *,
    is_ca: bool,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
