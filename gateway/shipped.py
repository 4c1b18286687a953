"""Where the policy library, its data and the words of reason codes lie: in the package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def rego_dir() -> Path:
    """The shipped Rego library (`rego/`)."""
    return _first(_PACKAGE / "_shipped" / "rego", _PACKAGE.parent / "rego")


def policy_data_dir() -> Path:
    """The shipped policy data with its profiles (`config/policy-data/`)."""
    return _first(_PACKAGE / "_shipped" / "policy-data", _PACKAGE.parent / "config" / "policy-data")


def operations_page() -> Path:
    """The shipped docs/operations.md, whose tables explain the gateway's own reason codes."""
    return _first(_PACKAGE / "_shipped" / "operations.md", _PACKAGE.parent / "docs" / "operations.md")


def _first(*candidates: Path) -> Path:
    return next((c for c in candidates if c.exists()), candidates[-1])
