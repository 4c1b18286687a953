"""Formats that carry data and nothing that acts."""

from __future__ import annotations

from gateway.scanners.formats.inert_names import SNIFF_BYTES, sniff_inert

__all__ = ["SNIFF_BYTES", "sniff_inert"]
