"""Shows on a local stack that this version can be deployed over the running jobs of another.

    upgrade [--from REVISION] [--functions DIR] [--import-seconds N] [--dir DIR] [--port N] …

Deploys REVISION first (HEAD, so that what is not committed is the new version): its template, and its functions, which
are built unless --functions names a folder that has them. Starts jobs, so that one is in each state at the moment of
the upgrade, and one is cleaned up after a kill. Then deploys template and functions of the working tree (target/quick),
kills one more job, and waits until all have ended as they should, and nothing of them is left.

The emulator ends running functions when their code changes, where Lambda lets them finish: their steps are tried again,
by the new code.
"""
