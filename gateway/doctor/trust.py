"""Which clients trust the gateway's certificate: each Python client reads its own variable for a private authority."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.doctor.checks import Check, fail, ok, unknown, warn
from gateway.doctor.probe import Unreachable
from gateway.doctor.surroundings import Surroundings

# Variable -> whose.
BUNDLES = {"SSL_CERT_FILE": "huggingface_hub 1.x and 2.x", "REQUESTS_CA_BUNDLE": "huggingface_hub 0.x"}
_SET_BOTH = "Set SSL_CERT_FILE and REQUESTS_CA_BUNDLE to the PEM file of the authority that signed it."


def system_context() -> ssl.SSLContext:
    """Trusts the authorities of the system, whatever the environment names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.platform == "win32":
        context.load_default_certs()
        return context
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    if file.is_file() or folder.is_dir():
        context.load_verify_locations(str(file) if file.is_file() else None, str(folder) if folder.is_dir() else None)
    return context


def has_authorities(paths: ssl.DefaultVerifyPaths | None = None) -> bool:
    """Has this Python any authorities of the system? Some installations have none; clients bring their own then."""
    paths = paths or ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    return sys.platform == "win32" or file.is_file() or (folder.is_dir() and any(folder.iterdir()))


def usable_context(around: Surroundings) -> ssl.SSLContext:
    """Trusts the system's authorities and every readable bundle that the environment names."""
    context = system_context()
    for name in BUNDLES:
        named = _named(around, name)
        if named is not None:
            _load(context, named)
    return context


def check_certificate(
    around: Surroundings, handshake: Callable[[ssl.SSLContext], None], *, is_blind: bool = False
) -> Check:
    """Who verifies the certificate. `handshake` makes a connection of its own each time; raises Unreachable.

    `is_blind`: this Python has no authorities of the system, so that a failure says nothing.
    """
    trouble = _verifies(system_context(), handshake)
    if trouble is None:
        return ok("endpoint/certificate", "The certificate is signed by an authority that this system trusts.")
    trusting = {}
    for name in BUNDLES:
        named, context = _named(around, name), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting[name] = named is not None and _load(context, named) and _verifies(context, handshake) is None
    if all(trusting.values()):
        return ok("endpoint/certificate", f"The certificate verifies with {' and '.join(BUNDLES)}.")
    if is_blind and not any(_named(around, name) for name in BUNDLES):
        text = "This Python knows no authorities, so the certificate could not be verified."
        return unknown("endpoint/certificate", text, "Start the doctor with another Python, or set SSL_CERT_FILE.")
    if not any(trusting.values()):
        return fail("endpoint/certificate", f"The certificate does not verify: {trouble}.", _SET_BOTH)
    missing = next(name for name, good in trusting.items() if not good)
    return warn("endpoint/certificate", f"The certificate does not verify for {BUNDLES[missing]}.", _SET_BOTH)


def check_bundles(around: Surroundings) -> list[Check]:
    """Files that are named and cannot be read stop a client before its first request."""
    found = []
    for name in BUNDLES:
        named = _named(around, name)
        if named is not None and not _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), named):
            text = f"{name} names a file that cannot be read as certificates."
            found.append(fail("endpoint/bundle", text, f"Correct {name}, or unset it."))
    return found


def unverified(step: Unreachable) -> Check:
    """A TLS connection that did not come about at all."""
    return unknown("endpoint/certificate", f"The certificate could not be looked at: {step}.")


def _verifies(context: ssl.SSLContext, handshake: Callable[[ssl.SSLContext], None]) -> str | None:
    """None, or why the certificate does not verify. Raises Unreachable for everything else."""
    try:
        handshake(context)
    except Unreachable as error:
        if error.step != "certificate":
            raise
        return str(error)
    return None


def _named(around: Surroundings, name: str) -> Path | None:
    value = around.env.get(name) or (around.env.get("CURL_CA_BUNDLE") if name == "REQUESTS_CA_BUNDLE" else None)
    return around.cwd / value if value else None


def _load(context: ssl.SSLContext, path: Path) -> bool:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=str(path))
        else:
            context.load_verify_locations(str(path))
    except (OSError, ValueError):
        return False
    return True
