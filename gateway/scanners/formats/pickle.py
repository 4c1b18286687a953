"""Pickle files: what every stream in the file imports, calls and builds, as findings.

Source: scanning rules on pickle (tiers of globals, second streams, trailing data). A pickle is judged by its opcodes;
large byte operands are stepped over, since only an opcode makes them act.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.formats.pickle_globals import Tier, class_of, mapped, tier
from gateway.scanners.formats.pickle_machine import OpcodeBudget, Program, run
from gateway.scanners.formats.pickle_values import Event, GlobalUse
from gateway.scanners.formats.printable import printable
from gateway.scanners.reader import Inspection, Reader

MAX_STREAMS = 16
MAX_FINDINGS = 200

_EVENTS: dict[str, tuple[FindingClass, Severity, str]] = {
    "pickle.computed-name": (FindingClass.CODE_EXEC, Severity.HIGH, "imports a name that the stream computes"),
    "pickle.computed-callable": (FindingClass.CODE_EXEC, Severity.HIGH, "calls the result of another call"),
    "pickle.build-on-global": (FindingClass.CODE_EXEC, Severity.CRITICAL, "overwrites attributes of what it imported"),
    "pickle.method-on-global": (FindingClass.CODE_EXEC, Severity.HIGH, "calls a method of what it imported"),
    "pickle.extension": (FindingClass.CODE_EXEC, Severity.HIGH, "takes an object from the copyreg extension registry"),
    "pickle.out-of-band": (FindingClass.AMBIGUITY, Severity.MEDIUM, "needs buffers that are not in the file"),
    "pickle.codec": (FindingClass.UNKNOWN_GLOBAL, Severity.HIGH, "encodes with a codec that does more than text"),
    "pickle.allocation": (FindingClass.DOS, Severity.HIGH, "makes loaders allocate an absurd amount of memory"),
    "pickle.expansion": (FindingClass.DOS, Severity.HIGH, "is small and keeps loaders busy for ever, or fills memory"),
    "pickle.frame-straddle": (
        FindingClass.AMBIGUITY,
        Severity.HIGH,
        "has operands that cross the end of a frame: loaders read them differently",
    ),
    "pickle.frame-overrun": (FindingClass.AMBIGUITY, Severity.HIGH, "has a frame that runs past the end of the file"),
    "pickle.memo-index": (
        FindingClass.DOS,
        Severity.MEDIUM,
        "stores at a memo index that makes loaders allocate memory",
    ),
}
_INTERLEAVED = frozenset({"joblib.numpy_pickle.NumpyArrayWrapper"})
_TORCH_MODULE_NAMES = {"torch.tensor": "torch._tensor"}


@dataclass(slots=True)
class PickleReport:
    """The outcome of one or more streams: findings, and why the look was not complete ("" where it was)."""

    findings: list[Finding] = field(default_factory=list)
    cause: str = ""
    programs: list[Program] = field(default_factory=list)

    @property
    def end_offset(self) -> int:
        return self.programs[-1].end_offset if self.programs else 0


def inspect(reader: Reader, _path: str) -> Inspection:
    """A whole file that is a pickle."""
    report = examine(reader, "", OpcodeBudget(), persistent_ids=False)
    joblib = any(key[0].startswith("joblib.") for program in report.programs for key in program.globals)
    if joblib and not report.cause:
        coverage = Coverage(Surface.NOT_RUN, whole_file=False, cause="unsupported-format")
        return Inspection("joblib", coverage, tuple(report.findings))
    surface = Surface.COMPLETE if not report.cause else Surface.PARTIAL
    return Inspection("pickle", Coverage(surface, whole_file=False, cause=report.cause), tuple(report.findings))


def examine(
    reader: Reader,
    member: str,
    budget: OpcodeBudget,
    *,
    persistent_ids: bool,
    skip_modules: tuple[str, ...] = (),
) -> PickleReport:
    """Follow the stream at offset 0 and whatever comes after it: a second stream, or trailing data, is a finding.

    `persistent_ids`: the loader of this container knows them; elsewhere nobody can say what they load.
    """
    report = PickleReport()
    at = 0
    for number in range(MAX_STREAMS):
        program = run(reader, at, budget)
        report.programs.append(program)
        if number and program.end != "stopped" and not program.globals:
            break
        report.findings += findings_of(program, member, skip_modules=skip_modules)
        at = program.end_offset
        if program.doubts:
            report.cause = report.cause or "malformed"
        if program.end != "stopped":
            report.cause = report.cause or program.end
            break
        if at >= reader.size:
            break
        if number == 0:
            message = "bytes follow the end of the pickle: a loader may go on, or ignore them"
            report.findings.append(
                Finding("pickle.trailing-data", FindingClass.AMBIGUITY, Severity.HIGH, message, _where(member, at))
            )
    if not persistent_ids and any(program.persistent_ids for program in report.programs):
        report.cause = report.cause or "persistent-id"
    if any(found.cls is FindingClass.DOS for found in report.findings):
        report.cause = report.cause or "excessive-allocation"
    report.findings = _bounded(report.findings)
    return report


def findings_of(program: Program, member: str, *, skip_modules: tuple[str, ...] = ()) -> list[Finding]:
    """The findings of one stream. Globals of modules that start with one of `skip_modules` are left out."""
    found = [_event_finding(event, member) for event in program.events]
    for use in program.globals.values():
        if not use.module.startswith(skip_modules or ("\0",)):
            found += _global_findings(use, member)
    if program.end == "malformed" or program.doubts:
        message = "the stream breaks in some loaders; what came before it has run by then"
        where = _where(member, program.end_offset)
        found.append(Finding("pickle.malformed", FindingClass.AMBIGUITY, Severity.MEDIUM, message, where))
    return found


def _event_finding(event: Event, member: str) -> Finding:
    cls, severity, message = _EVENTS[event.rule]
    return Finding(event.rule, cls, severity, message, _where(member, event.offset), printable(event.symbol))


def _global_findings(use: GlobalUse, member: str) -> list[Finding]:
    module = _TORCH_MODULE_NAMES.get(use.module, use.module)
    where, symbol = _where(member, use.offset), printable(use.symbol)
    shown = "/".join(sorted(use.uses))
    if "." in use.name or (use.name.startswith("__") and tier(module, use.name, use.protocol) is Tier.UNKNOWN):
        message = f"reaches through a module to another object ({shown})"
        return [Finding("pickle.dotted-name", FindingClass.CODE_EXEC, Severity.CRITICAL, message, where, symbol)]
    level = tier(module, use.name, use.protocol)
    if level is Tier.DANGEROUS:
        real = mapped(module, use.name) if use.protocol < 3 else (module, use.name)
        message = f"names an object that can act on this machine ({shown})"
        return [Finding("pickle.dangerous-global", class_of(*real), Severity.CRITICAL, message, where, symbol)]
    if level is Tier.UNKNOWN:
        message = f"names an object that nobody has vouched for ({shown})"
        return [Finding("pickle.unknown-global", FindingClass.UNKNOWN_GLOBAL, Severity.HIGH, message, where, symbol)]
    if use.symbol in _INTERLEAVED:
        message = "array data stands between the opcodes, which only joblib can tell apart"
        return [Finding("pickle.interleaved", FindingClass.AMBIGUITY, Severity.HIGH, message, where, symbol)]
    if level is Tier.FRAMEWORK:
        message = f"names a class of a known framework ({shown})"
        return [
            Finding("pickle.framework-global", FindingClass.FRAMEWORK_GLOBAL, Severity.INFO, message, where, symbol)
        ]
    return []


def _where(member: str, offset: int) -> str:
    return f"{printable(member)}@{offset}" if member else f"@{offset}"


def _bounded(findings: Iterable[Finding]) -> list[Finding]:
    """At most MAX_FINDINGS, the gravest first, one per rule and symbol."""
    unique: dict[tuple[str, str], Finding] = {}
    for found in findings:
        unique.setdefault((found.rule, found.symbol), found)
    ranked = sorted(unique.values(), key=lambda f: list(Severity).index(f.severity))
    return ranked[:MAX_FINDINGS]
