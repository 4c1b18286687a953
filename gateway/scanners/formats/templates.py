"""Chat templates: Jinja text from untrusted repositories that every chat client renders.

The template is parsed, never rendered, and its syntax tree is held against an allow-list (template_words.py). Some
loaders render without a sandbox, so what merely a sandbox would stop is a finding too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.formats import template_words as words
from gateway.scanners.formats.printable import printable
from gateway.scanners.formats.template_cost import Sizes, loop_faults, size_faults
from gateway.scanners.formats.template_flow import Sources, targets, walk
from gateway.scanners.formats.template_growth import growth_faults, macro_faults, recursion_faults
from gateway.scanners.reader import Inspection, Reader

MAX_TEMPLATE_CHARS = 512 * 1024
_MAX_NODES = 50_000
_MAX_FINDINGS = 20
_MAX_BINDERS = 1_000  # what follows values through a template takes time by the square of these
_BINDERS = (nodes.Assign, nodes.AssignBlock, nodes.For, nodes.Macro, nodes.With)

_DUNDER = re.compile(r"(?<![A-Za-z0-9])__[A-Za-z]")
_ATTRIBUTE_PATH = re.compile(r"[A-Za-z0-9][\w-]*(?:\.[A-Za-z0-9][\w-]*)*\Z")
_STEERING = re.compile(r"https?://|<script|ignore (?:all|any|the|your) (?:previous|prior|other)\b", re.IGNORECASE)


class _Generation(Extension):
    """The pair `{% generation %}…{% endgeneration %}`, which marks the assistant's own tokens for training."""

    tags = {"generation"}  # noqa: RUF012  # the shape that jinja2's Extension declares

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=lineno)


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, LoopControlExtension]
)


def _finding(rule: str, message: str, location: str, symbol: str = "") -> Finding:
    severity = Severity.CRITICAL if rule == "gadget" else Severity.HIGH
    cls = FindingClass.DOS if rule == "cost" else FindingClass.TEMPLATE
    return Finding(f"template.{rule}", cls, severity, message, location, printable(symbol))


def check_template(text: str, location: str) -> list[Finding]:
    """Findings of one chat template; `location` says where it stands (a path, a metadata key).

    Class `template`, critical, for anything that reaches from data to code; high for what is not on the allow-list or
    does not parse; class `dos`, high, past the bounds; class `policy`, low, for a link or a hidden instruction in the
    words. An empty list means that every node, name, filter, method and string of the template is on the allow-list.
    Never raises.
    """
    location = printable(location)
    if len(text) > MAX_TEMPLATE_CHARS:
        return [_finding("cost", "a template over 512 Ki characters", location)]
    try:
        tree = _ENVIRONMENT.parse(text)
        return _tree_findings(tree, location)
    except TemplateError:
        return [_finding("syntax", "does not parse as a chat template, so loaders may disagree on it", location)]
    except RecursionError:
        return [_finding("cost", "a template nested too deep to parse", location)]
    except (ValueError, OverflowError, MemoryError):
        # Literals that Python refuses: 5,000-digit numbers, bad escapes, surrogates.
        return [_finding("syntax", "a literal that cannot be read", location)]


def _tree_findings(tree: nodes.Template, location: str) -> list[Finding]:
    if sum(1 for _ in zip(walk(tree), range(_MAX_NODES + 1), strict=False)) > _MAX_NODES:
        return [_finding("cost", "a template of more than 50,000 nodes", location)]
    if sum(isinstance(node, _BINDERS) for node in walk(tree)) > _MAX_BINDERS:
        return [_finding("cost", "a template with more than 1,000 assignments, loops and macros", location)]
    sources = Sources(tree)
    found: dict[tuple[str, str, str], Finding] = {}
    for node in walk(tree):
        for rule, message, symbol in _node_faults(node, sources):
            found.setdefault((rule, message, symbol), _finding(rule, message, location, symbol))
    sizes = Sizes(sources)
    costs = (
        size_faults(tree, sizes),
        loop_faults(tree, sizes),
        growth_faults(tree),
        macro_faults(sources, sizes),
        recursion_faults(sources),
    )
    for faults in costs:
        messages = list(faults)
        for message in messages:
            found.setdefault(("cost", message, ""), _finding("cost", message, location))
        if messages:
            break  # the later checks take longer on what the earlier ones refuse
    worst_first = sorted(found.values(), key=lambda f: f.severity is not Severity.CRITICAL)
    return [*worst_first[:_MAX_FINDINGS], *_steering(tree, location)]


def _steering(tree: nodes.Template, location: str) -> list[Finding]:
    literals = (n.data for n in walk(tree) if isinstance(n, nodes.TemplateData))
    strings = (n.value for n in walk(tree) if isinstance(n, nodes.Const) and isinstance(n.value, str))
    if any(_STEERING.search(text) for source in (literals, strings) for text in source):
        message = "the template's own words hold a link or an instruction to the model: have a person read it"
        return [Finding("template.steering", FindingClass.POLICY, Severity.LOW, message, location)]
    return []


_Faults = Iterator[tuple[str, str, str]]


def _node_faults(node: nodes.Node, sources: Sources) -> _Faults:
    """(rule, message, symbol) for each thing that this one node may not be."""
    if type(node) not in words.NODES:
        risky = isinstance(node, nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends)
        rule = "gadget" if risky else "not-allowed"
        yield rule, "a statement that no chat template needs", type(node).__name__
    elif isinstance(node, nodes.Const):
        if isinstance(node.value, str) and _DUNDER.search(node.value):
            yield "gadget", "a string with the name of a special attribute", node.value
    elif isinstance(node, nodes.Getattr):
        if node.attr.startswith("_") or node.attr in words.GADGET_ATTRIBUTES:
            yield "gadget", "an attribute that leads out of the data", node.attr
    elif isinstance(node, nodes.Getitem):
        yield from _item_faults(node, sources)
    elif isinstance(node, nodes.Name):
        if node.name.startswith("__") or (node.ctx == "load" and node.name in words.GADGET_NAMES):
            yield "gadget", "a name that leads out of the data", node.name
        elif id(node) in sources.loose_namespaces:
            yield "not-allowed", "a namespace that is passed on under another name", node.name
    elif isinstance(node, nodes.Keyword):
        if "__" in node.key or not node.key.isascii():  # the compiler folds look-alikes of "_" into it (NFKC)
            yield "gadget", "a keyword with the name of a special attribute", node.key
    elif isinstance(node, nodes.NSRef):
        if node.attr.startswith("_") or node.name not in sources.namespaces:
            yield "gadget", "an attribute set on something that is no namespace of the template", node.attr
    elif isinstance(node, nodes.Call):
        yield from _call_faults(node, sources)
    elif isinstance(node, nodes.Filter):
        yield from _filter_faults(node)
    elif isinstance(node, nodes.Test):
        if node.name not in words.TESTS:
            yield "not-allowed", "a test that is not on the allow-list", node.name
    elif isinstance(node, nodes.Mod):
        if isinstance(node.left, nodes.Const) and isinstance(node.left.value, str):
            yield "not-allowed", "string formatting with %", ""
    elif isinstance(node, nodes.Assign | nodes.AssignBlock | nodes.For | nodes.Macro | nodes.With):
        yield from _binding_faults(node, sources)


def _item_faults(node: nodes.Getitem, sources: Sources) -> _Faults:
    key = node.arg
    if isinstance(key, nodes.Const):
        if isinstance(key.value, str) and (key.value.startswith("_") or key.value in words.GADGET_ATTRIBUTES):
            yield "gadget", "an item that leads out of the data", key.value
    elif sources.makes_a_key(key):
        yield "gadget", "an item whose name the template puts together", ""


def _call_faults(node: nodes.Call, sources: Sources) -> _Faults:
    callee = node.node
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield "not-allowed", "a call with unpacked arguments", ""
    if id(node) in sources.loose_namespaces:
        yield "not-allowed", "a namespace that is not simply set to a name", ""
    if isinstance(callee, nodes.Getattr):
        is_cycle = (
            isinstance(callee.node, nodes.Name) and callee.node.name == "loop" and callee.attr in ("cycle", "changed")
        )
        if callee.attr not in words.METHODS and not is_cycle:
            rule = "gadget" if callee.attr in words.FORMAT_METHODS else "not-allowed"
            yield rule, "a method that is not on the allow-list", callee.attr
    elif isinstance(callee, nodes.Name):
        if callee.name not in words.FUNCTIONS and callee.name not in sources.macros:
            yield "not-allowed", "a function that is not on the allow-list", callee.name
    else:
        yield "gadget", "a call of something computed", ""


def _filter_faults(node: nodes.Filter) -> _Faults:
    if node.name not in words.FILTERS:
        gadget = node.name in ("attr", "format", "xmlattr", "pprint")
        yield "gadget" if gadget else "not-allowed", "a filter that is not on the allow-list", node.name
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield "not-allowed", "a filter with unpacked arguments", node.name
    if node.name in ("map", "select", "reject") and node.args:
        function = node.args[0]
        allowed = words.MAPPED_FILTERS if node.name == "map" else words.TESTS
        if not isinstance(function, nodes.Const) or function.value not in allowed:
            yield "gadget", "a filter applied by a name that is not on the allow-list", node.name
    attributes = [k.value for k in node.kwargs if k.key in ("attribute", "attr")]
    if node.name in words.ATTRIBUTE_ARGUMENTS:
        attributes += node.args[words.ATTRIBUTE_ARGUMENTS[node.name] :][:1]
    if node.name in ("selectattr", "rejectattr") and len(node.args) > 1:
        test = node.args[1]
        if not isinstance(test, nodes.Const) or test.value not in words.TESTS:
            yield "gadget", "a test by a name that is not on the allow-list", node.name
    for attribute in attributes:
        literal = attribute.value if isinstance(attribute, nodes.Const) else None
        if isinstance(literal, int):
            continue
        parts = str(literal).split(",") if node.name == "sort" else [str(literal)]
        if literal is None or not all(_is_plain_path(part) for part in parts):
            yield "gadget", "an attribute by a name that is computed or special", node.name


def _is_plain_path(path: str) -> bool:
    return bool(_ATTRIBUTE_PATH.match(path)) and not set(path.split(".")) & words.GADGET_ATTRIBUTES


def _binding_faults(
    node: nodes.Assign | nodes.AssignBlock | nodes.For | nodes.Macro | nodes.With, sources: Sources
) -> _Faults:
    """A function's name bound to something else would take that something past the list of functions."""
    bound = (
        [t for item in (node.args if isinstance(node, nodes.Macro) else node.targets) for t in targets(item)]
        if isinstance(node, nodes.Macro | nodes.With)
        else targets(node.target)
    )
    for name in bound:
        if name in words.FUNCTIONS or name in sources.macros:
            yield "not-allowed", "the name of a function or macro bound anew", name


def inspect(reader: Reader, path: str) -> Inspection:
    """Judge a file that is one template (`chat_template.jinja`), read whole. Format "text"; over 2 MiB `partial`."""
    if reader.size > 4 * MAX_TEMPLATE_CHARS:
        return Inspection("text", Coverage(Surface.PARTIAL, whole_file=False, cause="too-large"))
    try:
        text = reader.read(0, reader.size).decode()
    except UnicodeDecodeError:
        finding = Finding("template.encoding", FindingClass.AMBIGUITY, Severity.HIGH, "a template that is not UTF-8")
        return Inspection("text", Coverage(Surface.FAILED, whole_file=True, cause="content-mismatch"), (finding,))
    return Inspection("text", Coverage(Surface.COMPLETE, whole_file=True), tuple(check_template(text, path)))
