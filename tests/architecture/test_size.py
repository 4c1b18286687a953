"""Size as hygiene: a module fits on a few screens, a function on one. There are no exceptions."""

from tests.architecture.sources import functions, modules, name

MODULE_LINES = 300
FUNCTION_LINES = 50


def test_no_module_is_longer_than_300_lines():
    long = {name(path): lines for path in modules() if (lines := len(path.read_text().splitlines())) > MODULE_LINES}
    assert long == {}


def test_no_function_is_longer_than_50_lines():
    long = {
        f"{name(path)}:{node.lineno} {node.name}": lines
        for path in modules()
        for node in functions(path)
        if (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}
