"""Every failure the gateway knows, as one tree; each carries a code and a sentence for a person.

GatewayError
├── UnroutableRequest        the dialect has no such route, or the request is malformed
├── IdentityError            no, wrong or expired credential                      (deny form: identity/…)
├── UpstreamError
│   ├── UpstreamNotFound     the hub's own plain absence (repo, revision, entry)
│   ├── UpstreamUnavailable  down, slow, malformed, over a bound                  (502/504)
│   ├── UpstreamRefused      the hub denies access to what we are (gated, private)
│   └── UpstreamThrottled    429: wait                                            (pending form)
├── RateLimited              too many requests                                (pending form)
├── IntegrityError           bytes that are not what was judged
├── PolicyError              no decision: unavailable, timeout, undefined, malformed, crashed  (pending form)
├── ScanError                a scan that may pass on retry                        (pending form)
├── StoreError               disk full, unwritable                                (pending form)
├── LedgerError              cannot record, so cannot serve                       (pending form)
└── ConfigError              settings, policy or state that the gateway refuses to start on
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of all. `code` is `category/reason`; the text is one clear sentence without secrets."""

    code = "gateway/error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class UnroutableRequest(GatewayError):
    code = "route/unknown"


class IdentityError(GatewayError):
    code = "identity/invalid"


class UpstreamError(GatewayError):
    code = "upstream/error"


class UpstreamNotFound(UpstreamError):
    """`what`: "repo", "revision" or "entry"."""

    code = "upstream/not-found"

    def __init__(self, message: str, *, what: str) -> None:
        super().__init__(message, code=f"upstream/{what}-not-found")
        self.what = what


class UpstreamUnavailable(UpstreamError):
    """`timeout` tells 504 from 502; `retry_after_s` when to ask again, 0 where nobody knows."""

    code = "upstream/unavailable"

    def __init__(
        self, message: str, *, timeout: bool = False, code: str | None = None, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message, code=code)
        self.timeout = timeout
        self.retry_after_s = retry_after_s


class UpstreamRefused(UpstreamError):
    """The hub refuses the credential we have. `gated` tells a gated repo from a private one."""

    code = "upstream/refused"

    def __init__(self, message: str, *, gated: bool) -> None:
        super().__init__(message)
        self.gated = gated


class UpstreamThrottled(UpstreamError):
    code = "upstream/throttled"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(GatewayError):
    """Too many requests of one subject or address: the pending form."""

    code = "limit/rate"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class IntegrityError(GatewayError):
    code = "integrity/mismatch"


class PolicyError(GatewayError):
    """No decision. Codes: pdp/timeout, pdp/crashed, pdp/error, pdp/undefined, pdp/malformed, pdp/unavailable."""

    code = "pdp/error"


class ScanError(GatewayError):
    code = "scan/failed"


class StoreError(GatewayError):
    code = "store/error"


class LedgerError(GatewayError):
    code = "ledger/unwritable"


class ConfigError(GatewayError):
    code = "config/invalid"
