"""The audit trail: hash-chained segment files, written by `writer`, proven by `verify`, searched by `queries`.

Format and promise: docs/ledger.md. Writing: writer → appender (event loop) → disk (threads) → files (system calls).
Reading: segments → index → queries, decision_log; verify and recovery read segments alone.
"""
