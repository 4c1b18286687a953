"""`gateway doctor --client`: what is wrong on a developer's machine, and what to set.

Standard library only, so that it also runs where nothing else is installed: `python -m gateway.doctor`, or this folder
itself as a program.
"""
