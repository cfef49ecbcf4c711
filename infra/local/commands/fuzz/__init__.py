"""Gives invented input to whatever reads bytes that strangers wrote, and looks for what must not happen.

    fuzz [--seconds N] [TARGET...]

Builds the fuzzers of tests/fuzz with cargo-fuzz, which is installed into target/tools, and runs each of them (or those
that are named) for a minute, one after the other. The first build takes about six minutes of processor time. What a
fuzzer has learned stays in target/fuzz/corpus, and the next run begins there. An input that breaks something is put
into target/fuzz/crashes; then this ends with 1, after all fuzzers have run.
"""
