"""Draws the picture of the README from docs/overview.dot, by Graphviz.

    picture

Writes docs/overview.svg for light pages and docs/overview-dark.svg for dark ones. Both name the source that they were
drawn from by its SHA-256, which a test compares: how Graphviz draws it differs between its versions.
"""
