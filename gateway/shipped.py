"""Where the policy library and its data lie: inside the installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def rego_dir() -> Path:
    """The shipped Rego library (`rego/`)."""
    return _first(_PACKAGE / "_shipped" / "rego", _PACKAGE.parent / "rego")


def policy_data_dir() -> Path:
    """The shipped policy data with its profiles (`config/policy-data/`)."""
    return _first(_PACKAGE / "_shipped" / "policy-data", _PACKAGE.parent / "config" / "policy-data")


def _first(*candidates: Path) -> Path:
    return next((c for c in candidates if c.is_dir()), candidates[-1])
