"""What a chat template may use: the allow-list, as data.

The list is what chat templates in the wild need of Jinja 3, and nothing that reaches from data to code in an
environment that is not sandboxed (some loaders use one).
"""

from __future__ import annotations

from jinja2 import nodes


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NODES: frozenset[type[nodes.Node]] = frozenset(
    {
        nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.NSRef, nodes.Const, nodes.List, nodes.Tuple,
        nodes.Dict, nodes.Pair, nodes.Keyword, nodes.For, nodes.If, nodes.CondExpr, nodes.Assign, nodes.AssignBlock,
        nodes.Macro, nodes.Call, nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Concat,
        nodes.Compare, nodes.Operand, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Not,
        nodes.Neg, nodes.Pos, nodes.And, nodes.Or, nodes.Break, nodes.Continue, nodes.FilterBlock, nodes.With,
        nodes.Scope,
    }
)  # fmt: skip

FUNCTIONS = frozenset({"raise_exception", "strftime_now", "namespace", "range", "dict"})

METHODS = _words(
    "strip lstrip rstrip split rsplit splitlines partition rpartition startswith endswith replace upper lower title "
    "capitalize swapcase join find rfind index rindex count removeprefix removesuffix isdigit isalpha isalnum isspace "
    "isupper islower isnumeric isdecimal items keys values get copy"
)

FILTERS = _words(
    "length count trim tojson upper lower title capitalize string int float list join first last default d replace "
    "items dictsort sort unique map select reject selectattr rejectattr groupby indent safe escape e forceescape abs "
    "round min max sum reverse wordcount truncate striptags from_json fromjson"
)

ATTRIBUTE_ARGUMENTS = {
    "selectattr": 0,
    "rejectattr": 0,
    "groupby": 0,
    "sum": 0,
    "join": 1,
    "unique": 1,
    "min": 1,
    "max": 1,
    "sort": 2,
}
"""Filters that read attributes by name, and the position of that argument (it may also be called `attribute`)."""

MAPPED_FILTERS = FILTERS - ATTRIBUTE_ARGUMENTS.keys() - {"map", "select", "reject"}
"""What `map` may apply by name: no filter that itself takes names."""

TESTS = _words(
    "defined undefined none string mapping iterable sequence number integer float boolean true false equalto eq == ne "
    "!= in lt < lessthan gt > greaterthan le <= ge >= even odd divisibleby sameas upper lower escaped callable"
)

GADGET_NAMES = _words(
    "cycler lipsum joiner self super config request url_for get_flashed_messages current_app environ os sys builtins "
    "eval exec open import_module getattr setattr globals locals vars caller varargs kwargs"
)
"""Names that some environments bind to objects whose attributes lead to the interpreter."""

GADGET_ATTRIBUTES = _words(
    "mro format_map func_globals func_code func_closure gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await "
    "ag_frame ag_code f_globals f_locals f_builtins f_back f_code tb_frame tb_next co_code"
)
"""Attributes of the interpreter's own objects that are not named like `__this__`."""

FORMAT_METHODS = _words("format format_map")
"""Methods of strings whose argument is a little language that reads attributes."""
