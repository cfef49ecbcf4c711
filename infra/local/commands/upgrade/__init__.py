"""Shows on a local stack that this version can be deployed over the running jobs of another, and taken back.

    upgrade [--from REVISION] [--functions DIR] [--no-way-back] [--import-seconds N] [--dir DIR] [--port N] …

Deploys REVISION first (HEAD, so that what is not committed is the new version): its template, and its functions, which
are built unless --functions names a folder that has them. Starts jobs, so that one is in each state at the moment of
the upgrade, and one is cleaned up after a kill. Then deploys template and functions of the working tree (target/quick),
kills one more job, starts another, and waits until all have ended as they should, and nothing of them is left.

Then the way back: more jobs are started and brought to the same states, REVISION is deployed over them, and they have
to end in the same way. The list of jobs has to show all of them, although there is a job that was refused as it was
created, which versions before the source server's own door cannot read. --no-way-back leaves this out, for a revision
that cannot take over the jobs of this one.

The emulator ends running functions when their code changes, where Lambda lets them finish: their steps are tried again,
by the new code.
"""
