"""Tests of the templates, and of the pages in docs/ that describe them. They need the YAML parser of SAM's environment:

    target/tools/sam/bin/python -B -m unittest discover -s infra/tests -t infra
"""
