"""Checks the project, step by step.

    check lint
    check test

`lint` looks at the sources only. `test` also runs all tests: those of crates, commands and emulator, and then those in
tests/ against a local stack of their own, on ports of their own, and `test-obs` where OBS's source server and nginx are
installed; in CI they have to be. A release is made with the functions of the tests, and deployed. What needs Cargo and
what does not run side by side.
The first step that fails, or takes half an hour, ends the check and shows the end of its log, which is in target/test.
"""
