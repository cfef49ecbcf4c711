"""What the page says of each table."""

from bench import prices
from bench.blocks import ROUNDS
from bench.cost import KEPT_HOURS, LOG_BYTES, idle
from bench.jobs import COMPUTED, LARGE, SMALL
from bench.obs import LISTS, LOGS, STATUSES, TITLE
from bench.push import AT_ONCE, MEMORY, ROUNDS as PUSH_ROUNDS, TITLE as PUSH
from bench.rivals import COLDSNAP
from bench.slots import QUEUED, SLOTS_PER_USER
from bench.terabytes import AT_A_TIME, FILES, TITLE as LONG

ABOUT = {
    "Size of `api`": """\
Built with `--release`, as `make package` does. Lambda loads it at every cold start.""",
    "Speed of `api`": """\
The binary of the table above runs under a stand-in for the Lambda runtime API. A stand-in for DynamoDB answers at once,
with what the emulator's DynamoDB answered to the same request before. So this is the function alone. Times include
about 0.1 ms of the stand-ins, and 0.2 ms for a list; processor times are those of the function (`/proc/PID/stat`,
`wait4`). The file is in the page cache, and nothing speaks TLS.""",
    TITLE: f"""\
`api` as in the table above, with a stand-in for CloudWatch Logs, too; its calls of AWS are counted, and what AWS does
for them is not in its times. Beside it `bs_clouduploadserver` of Debian's obs-server, alone, with the same jobs and the
same log in its files; each request on a connection of its own, as its clients send them. Both answers have to be the
same, byte for byte. Processor time is that of all processes of a server, a mean of {STATUSES} statuses, {LISTS} lists and
{LOGS} logs; the time to the answer is a median. `infra/local/bench --only obs` measures this alone.""",
    PUSH: f"""\
1 GiB that nothing compresses, in the page cache, to `part-sink`: it takes parts as S3 does, and keeps only their CRC32.
The newest osc with the plugin sends it from a file; to the relay, built with `--release`, one `curl -T` brings it, as the
source server would. Both get their URLs from a stand-in for the cloud uploader, and put parts of 8 MiB over four
connections. Beside them, `curl -T` puts the same bytes: four at once a quarter each, or one all of them. Time is from the
start of the first process to the end of the last one; all is repeated {PUSH_ROUNDS} times in turn, and the medians count. After
each push, the sink must have every byte once, by size, count and CRC32.

There are three sinks. One is as fast as it can be. One computes the MD5 of each part, which is the `ETag` of S3's answer;
the bars are for this one. One takes 90 MB a second from each connection, as S3 does (S3 user guide, "Performance design
patterns for Amazon S3").

On a machine with two processors, both are busy nearly all the time unless the sink is slow, so that what counts is the
processor time of everything together. osc starts Python first, before a byte moves. To the relay, another `curl -T` has to
bring the file, on the same processors. At the speed of S3, neither counts.
`infra/local/bench --only push` measures this alone.""",
    MEMORY: f"""\
Peak resident set (`VmHWM`) of a relay that was just started. Its sink takes 90 MB a second from each connection, so that
parts wait in memory. The file of 16 GiB is zeros; {AT_ONCE} PUTs at once are of {AT_ONCE} jobs.
`infra/local/bench --only push` measures this, too.""",
    "Memory of the functions that move images": """\
Peak resident set (`VmHWM`) of the processes that the emulator started from target/quick, set back before each
image. The route is `import`.""",
    "Speed of `transfer`": """\
By the route `import`. From entering the state `Transfer` to leaving it: reading from staging, decompression, writing
into the user's bucket; next to `xz -dc -TN FILE | cat >/dev/null` on the same file, just before. The emulator's S3, one
Python process, shares the cores with all slices: the ratios of speed are about the whole stack, that of processor time
is about the function.""",
    "Where the time of a job goes": """\
The demo's disk, by the route `import`. From the history of its execution; `import` is from entering `Seal` to having
the snapshot. The emulator's import takes 4 s, whatever the size.""",
    "A slot handed on": f"""\
{QUEUED} small jobs of one user, of which {SLOTS_PER_USER} may upload at a time. From a job's entering of `Finish`,
which cleans up after it, to the next one's entering of `Prepare`.""",
    "Blocks of EBS, next to xz and coldsnap": f"""\
A disk of 4 GiB, a third zeros and the rest real files. The release binaries of `prepare` and `transfer` run between
stand-ins: for Lambda, S3 (the staged file, sent by `sendfile`), STS and EC2; DynamoDB is the emulator's. Slices go 8 at
a time, as in the workflow. The blocks go to `ebs-sink`, which compares the SHA-256 of each with its checksum and keeps
nothing; for coldsnap {COLDSNAP} it is the same sink. Time is from the start of the first process to the last answer.
What competes for the processors is taken off: the sink's processor time, divided by the number of processors. All is
repeated {ROUNDS} times in turn, and the medians count. Both writers are checked to have written the same blocks.

The limits to coldsnap, 0.5 and 0.6, are missed on a machine with two processors: both are busy from the first slice to
the last, and the newest liblzma, which does nothing but decode, takes about as much of coldsnap's time as the limits
allow. On AWS, each slice has processors of its own.

What is compared, with the file in the page cache:

    infra/local/make-disk IMAGE.raw.xz --size-mib 4096 --content-mib 2730 --preset 6
    infra/local/bench --only blocks
    xz -dc -T0 IMAGE.raw.xz | cat >/dev/null
    cargo build --profile quick --workspace --features tests/xz-threads --bin xz-threads
    target/quick/xz-threads IMAGE.raw.xz | cat >/dev/null
    xz -dc -T1 IMAGE.raw.xz | cat >/dev/null
    cargo install coldsnap --version {COLDSNAP} --locked
    target/quick/ebs-sink --port 4886
    export AWS_REGION=eu-central-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
    xz -dk -T0 IMAGE.raw.xz
    coldsnap --endpoint http://127.0.0.1:4886 upload --no-progress IMAGE.raw
    coldsnap --endpoint http://127.0.0.1:4886 upload --no-progress --omit-zero-blocks IMAGE.raw""",
    "Memory of `transfer` when it writes blocks": """\
Peak resident set (`VmHWM`) of the largest process in the runs above, and in one with a disk of 16 GiB: an xz file made
of the blocks of the other, four times each.""",
    "Slices side by side": """\
A disk of 6 GiB made of the same blocks, the smallest that has 8 slices. A control group holds each process to an
eighth of a processor: in `cpu.cfs_quota_us` 12500 of 100000, or in `cpu.max` "12500 100000". Sink and stand-ins are
outside. Then, without control groups, a disk of 8 GiB whose second half is zeros. Both: `infra/local/bench --only
blocks`.""",
    LONG: f"""\
An xz file of {FILES + 1} blocks of files, the last of them at the disk's end, and zeros between. `prepare` and `transfer`
run as for the blocks above, {AT_A_TIME} slices at a time. A disk of 4 GiB with the same files is written, too: number and
checksum of the blocks have to be the same. `infra/local/bench --only terabytes` takes more than an hour of processor.""",
    f"From the call to the AMI, {LARGE} GiB": f"""\
A disk of {LARGE} GiB of which 2 GiB are real files, on the local stack, from sending the request to the API to the end
of `Register`; `copy` under a role that may only `ec2:*`. The functions are those of target/quick. All their calls go
through the proxy that counts them: `infra/local/bench --only jobs`. The emulator's EBS, S3 and EC2 are one Python
process, which takes most of the time. AWS would add what the emulator does not have:

- `Receive`: the network between OBS and AWS;
- all: a few tenths of a second for the first call of each function, and TLS;
- `Check` by `direct`: the time in which EBS completes a snapshot, seconds to a few minutes;
- `Check` by `copy`: the same and the copy, for which AWS promises no time; minutes;
- `Check` by `import`: VM Import, 5 to 20 minutes as others report. The emulator takes 4 s.""",
    "What a job costs on AWS": f"""\
The calls of the functions for a job, each attempt counted, and what they and the rest cost by AWS's list prices of
us-east-1, in both accounts together and without the AMI's own storage. The prices and their sources are in
[prices.json](../functions/cloudupload/src/cost/prices.json), of {prices.LOOKED_UP}. A fifth of each disk is real files.
{SMALL} and {LARGE} GiB are counted in a run of the jobs above; {COMPUTED} GiB are computed, each number on the straight
line through the other two. `staged` is the compressed file, which goes into the staging bucket and out of it once.
`written` are the blocks, or the disk in the user's bucket. Staged files, disks in buckets and shared snapshots count
for {KEPT_HOURS} hour, and are there for minutes. Lambda's seconds are those of this machine, where slices share the
processors; on AWS each has its own. `other` is DynamoDB, Step Functions, API Gateway, and logs: the job's, and
{LOG_BYTES >> 10} KiB of the functions' for each invocation.

Not in it: transfer to another region, at 0.02 USD for a GB of what is written, and the polls of an import or a copy
that takes many minutes: about 220 state transitions in 20 minutes, half a cent.

Without jobs, a month costs
{idle()}, and what is stored: logs and job records.""",
}
