"""Shows on a local stack that this version can be deployed over the running jobs of another.

    upgrade [--from REVISION] [--functions DIR] [--import-seconds N] [--dir DIR] [--port N] …

Takes the template of REVISION (HEAD, so that what is not committed is the new version), builds its functions, unless
--functions names a folder that has them, deploys both, and starts jobs: at the moment of the upgrade there is one in each
state, and one whose kill is being cleaned up. Then it deploys template and functions of the working tree (target/quick),
kills another job, and waits until all have ended as they should, and nothing of them is left.

The emulator ends running functions when their code changes, where Lambda lets them finish: their steps are tried again,
by the new code.
"""
