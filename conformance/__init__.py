"""Real clients against a registry that speaks the hub's protocol: which of their features work, and what users read.

    python -m conformance run                          every client, through the gateway and straight to the same hub
    python -m conformance run --endpoint URL           the same clients against any registry
    python -m conformance upstream --port 8001         the hub that holds the test repos, to put a registry in front of it

README.md says how a client and a feature are added; docs/conformance.md is what a run writes.
"""
