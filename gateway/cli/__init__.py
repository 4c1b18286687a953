"""The command line: one module per command. Each has `add_parser(commands)` and a `run(args) -> int`."""
