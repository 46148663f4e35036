"""The command line: parse, call one command, render, exit. Only this package knows Typer."""
