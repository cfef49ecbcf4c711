"""Looks whether this machine has what commands need, before they build or install anything.

    needs COMMAND...

The commands are targets of the Makefile, which calls this first, and make-disk. What is missing is told all at once,
with how Debian, Fedora and openSUSE install it; then it ends with 1.
"""
