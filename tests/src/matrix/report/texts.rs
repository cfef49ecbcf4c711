//! The texts of the page.

pub const HEAD: &str = "\
# What goes wrong, and what comes of it

Written by `make faults OPTIONS=--write` on DATE, from one run on one machine. Every call that a function makes to AWS
was broken in every way that calls break, one at a time, by a proxy between the functions and the emulated AWS
(`tests/src/proxy`). The calls were recorded from undisturbed runs, so that none is left out.

This is about functions, workflow and template on an emulator. It says nothing about real AWS: neither how frequently
calls fail there nor whether they fail in these ways.

- **throttled once**, **5xx once**: the first such call is refused, in the words of the service.
- **timeout once**: the first such call takes effect, and its answer never comes.
- **denied always**: every such call is refused, because a permission is missing. The permission is given back when the
  job's execution is over.
- **function killed**: the function's process gets a SIGKILL; the call takes effect, its answer is not seen.
- **job killed**: `cmd=kill` comes while the call is under way. Calls of a step to S3, EC2 and STS do not come back
  then; others do, once the kill is answered.

The image has 48 MiB, and its import takes 4 s. Several jobs run at a time, each of another user.
A `*` marks a run that left something until the sweeper ran.

## What is expected

- Every job ends. If a call fails once, the job ends as without the fault. If a permission is missing, the job fails,
  and `details` names the call and AWS's code. There are two exceptions: a log that cannot be written fails no job, and
  what `finish` may not do, the sweeper does once it is permitted. A job that succeeds has an AMI with the disk's bytes.
- A killed job is `failed`, `killed` at once, and nothing of it runs 10 s later.
- A request that the API answers by an error may be sent again. If a permission is missing, the error names the call and
  AWS's code.
- Nothing is left in either account but finished AMIs and their snapshots: no object, no unfinished upload, no snapshot,
  AMI or import task, no slot, no place in the queue, no execution, no mark of an unfinished job. This is counted after a
  sweep a quarter of an hour later (the records are made older by that time); what was there before is counted too.
- No run takes longer than its limit: 60 s, and the time that the function waits for an answer that does not come (60 s
  for S3, 15 s for others) or for the next byte of OBS (30 s). If `finish` lacks a permission, the limit is 75 s more,
  until after the next sweep. A request to the API has 29 s. A client that pushes has 30 s more, and 75 s more where it
  waits for an answer that does not come.

## In short

| | |
|---|--:|
";

pub const UNDISTURBED: &str = "\
The runs from which the calls were recorded. A call belongs to the first run that makes it; a call of `finish` belongs
to the first that succeeds and to the first that is killed.";

pub const CLIENTS: &str = "\
`osc cloudupload create --push` and the relay, as their users run them, with a disk of six parts. A proxy between the client
and the service breaks the first such call, and of the parts the third; in the column \"nothing for 10 s\", no call at all
gets through from then on for that time. What has failed or was killed is started again as its user would:
`osc cloudupload push` goes on with the job, if there is one; the relay is started by systemd, and ends the job whose image OBS
does not send again. A call that makes a job is never sent twice by the client itself; if that left a job that nobody goes on
with, it is given up a day later. Seconds are from the start of the client until its jobs are final, nothing works on them,
and what is left has been counted.";

pub const OBS: &str = "\
What OBS does on the first request for the file. It serves the next request well, except where the job is killed.";

pub const DENIED: &str = "\
From the runs in the column \"denied always\". The request id is the proxy's.";

pub const LEFT: &str = "\
Except in the runs of the sweeper's own table.";

pub const UNBROKEN: &str = "\
Functions make them after a fault, to find out what became of a call. They were not broken in their turn: two things
would have to go wrong at once.";

pub const ELSEWHERE: &str = "
## What is shown elsewhere

| rule | why not here | where |
|---|---|---|
| a wait for an import ends by its time or by a kill | Step Functions itself writes the token, not through the proxy | `tests/tests/kills.rs`; the emulator's `test_states_tasks.py` |
| the workflow as a whole has an end | it takes seven days | the emulator's `test_states_runs.py`; verdicts in `functions/sweep` |
| an execution that is stopped by hand, or that has no job | no call fails | `tests/tests/sweeps.rs` |
| no slot is granted twice, whoever dies | it takes many jobs at once | `tests/tests/slots.rs`, `tests/tests/dispatch.rs` |
| a `receive` whose time is up is called again | it takes 15 minutes | `tests/tests/short_of_time.rs`, with a shorter timeout |
| what the relay does for a job that it cannot send on | only a fault brings it about | `clients/relay/tests` |
| a push that OBS breaks off, and goes on with | OBS is read by the client | `clients/osc/tests/test_push.py`, `infra/local/test-obs` |
| several slices at a time | the image would need 1 GiB | `make demo`, without faults |
| buckets expire what is forgotten | the emulator stores lifecycle rules and does not apply them | nowhere |
| a throttled function is called again | Lambda throttles it, not a call of a function | the emulator's `test_states_tasks.py` |
| lists and indexes that lag behind | the emulator's never do | times in `functions/sweep/src/verdict.rs`, by unit tests |
";
