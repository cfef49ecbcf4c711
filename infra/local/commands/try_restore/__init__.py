"""Tries what docs/operators.md says of backup and restore, command by command, on a local stack.

    try-restore [--dir DIR] [--port N] [--api-port N] [--obs-port N]

One job succeeds, one is killed, and one is open while the table of job records is restored into another table and read
from there. Then the records of the first two are deleted, and copied back. Then the stack is deleted and deployed again,
which gives it another table, and the records are copied there: those of the backup, in which one job was open, and
those of the table that the deleted stack has left. Each time, the API has to tell of the jobs what it told before, and
in the end a new job has to succeed under the number that it was deployed with.

The emulator restores a table as it is now, whatever the time.
"""
