"""Sizes."""

MIB = 1 << 20
