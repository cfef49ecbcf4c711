"""`create --push` and `push` by the real osc, with stand-ins for OBS, the cloud uploader and S3."""

import random
import re
import signal
import threading
import time
import zlib

from tests.fake_service import AMI, CREATED, PART_SIZE
from tests.server import Refusal
from tests.world import FILE, PACKAGE, PROJECT, World

SLICE = 2**18
"""Bytes that osc sends at once."""

IMAGE = bytes(range(256)) * 5
"""Of 128 parts."""

OTHER = bytes(len(IMAGE))


class PushOf(World):
    def setUp(self):
        super().setUp()
        self.sign_in()
        self.build()
        self.built = self.root / PROJECT / "images" / "x86_64" / PACKAGE / FILE
        self.built.write_bytes(IMAGE)
        self.local = self.home.folder / "leap.raw.xz"
        self.local.write_bytes(IMAGE)
        self.words = ["--file", str(self.local), "--arch", "aarch64", "--name", "leap"]

    def puts(self):
        return [path for method, path in self.service.requests if method == "PUT" and path.startswith("/s3/")]

    def started(self, *words, **options):
        """osc that runs. Its pauses are short."""
        process = self.home.start(*words, **options)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def ended(self, process, code, timeout=60):
        """What a process printed, and what it told."""
        printed, told = process.communicate(timeout=timeout)
        self.assertEqual(process.returncode, code, told)
        return printed, told


class Push(PushOf):

    def test_an_image_of_obs(self):
        self.assertEqual(self.succeeds("create", "--push", PROJECT, PACKAGE), "1\n")
        job = self.service.jobs[1]
        self.assertEqual(job["upload"]["push"], {"size": len(IMAGE)})
        self.assertEqual((job["project"], job["filename"], job["pushed"]), (PROJECT, FILE, IMAGE))
        # A hundred URLs at a time.
        asked = [path for method, path in self.service.requests if path.endswith("/push/parts")]
        self.assertLessEqual(len(asked), 4)

    def test_a_local_image(self):
        watched = self.osc("create", "--push", *self.words, "--watch", "--region", "us-east-1")
        self.assertEqual((watched.returncode, watched.stdout), (0, f"{AMI}\n"), watched.stderr)
        job = self.service.jobs[1]
        subject = [job[name] for name in ("project", "repository", "arch", "package", "filename", "region")]
        self.assertEqual(subject, ["local", "local", "aarch64", "leap", "leap.raw.xz", "us-east-1"])
        self.assertEqual(job["pushed"], IMAGE)
        self.assertEqual(self.obs.requests, [])

    def test_a_file_of_one_part_and_one_byte(self):
        for size in (1, PART_SIZE, PART_SIZE + 1):
            self.local.write_bytes(IMAGE[:size])
            number = int(self.succeeds("create", "--push", *self.words))
            self.assertEqual(self.service.jobs[number]["pushed"], IMAGE[:size])

    def test_parts_are_put_again(self):
        self.service.s3_answers = [500, 0, 403, 503]
        self.succeeds("create", "--push", *self.words)
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)
        puts = self.puts()
        self.assertEqual(len(puts), 128 + 4)
        # A URL that S3 refused is not used again; a connection that breaks may be S3's way to do so.
        self.assertEqual(len(self.service.refused_urls), 4)
        for url in self.service.refused_urls:
            self.assertEqual(puts.count(url), 1)

    def test_a_slow_line_is_not_a_silent_one(self):
        """A part takes longer than SILENCE to be sent; a slice of it does not."""
        image = random.Random(1).randbytes(64 * SLICE)
        self.local.write_bytes(image)
        self.service.part_size = len(image)

        def slowly(file, length):
            body = b""
            while len(body) < length and (piece := file.read(min(SLICE, length - len(body)))):
                body += piece
                if len(body) < length * 3 / 4:  # the rest is in the buffers of both ends by then
                    time.sleep(0.08)
            return body

        self.service.read = slowly
        self.ended(self.started("create", "--push", *self.words, silence=2), 0)
        self.assertEqual(len(self.puts()), 1)
        self.assertTrue(self.service.jobs[1]["pushed"] == image)

    def test_what_was_interrupted_goes_on(self):
        short = self.home.folder / "short" / "leap.raw.xz"
        short.parent.mkdir()
        self.succeeds("create", "--push", *self.words)
        job = self.service.jobs[1]
        job["script"] = []
        for part in (2, 128):
            del job["parts"][part]
        job["pushed"] = None
        self.service.requests.clear()
        self.assertEqual(self.succeeds("push", "1", "--file", str(self.local)), "1\n")
        self.assertEqual(job["pushed"], IMAGE)
        self.assertEqual(len(self.puts()), 2)
        self.assertIn("--file", self.fails("push", "1", code=2))
        short.write_bytes(IMAGE[:-1])
        self.assertIn("it is another file", self.fails("push", "1", "--file", str(short)))
        # Nothing is left to do, now and when the job has succeeded.
        self.succeeds("push", "--file", str(self.local))
        job.update(state="succeeded", details=AMI, ami=AMI, ended=CREATED)
        self.assertEqual(self.succeeds("push", "--file", str(self.local)), "1\n")
        self.assertEqual(len(self.puts()), 2)

    def test_an_image_of_obs_goes_on_without_words(self):
        self.succeeds("create", "--push", PROJECT, PACKAGE)
        job = self.service.jobs[1]
        del job["parts"][7]
        job["pushed"] = None
        self.succeeds("push")
        self.assertEqual(job["pushed"], IMAGE)

    def test_a_job_that_ended_ends_the_push(self):
        self.service.s3_answers = [404] * 4
        self.service.script = [("failed", 3)]
        perform = self.service.put_part

        def killed(*request):
            self.service.kill(1, {}, None)
            return perform(*request)

        self.service.put_part = killed
        said = self.fails("create", "--push", *self.words)
        self.assertEqual(said, "job 1 takes no file any more: it has failed: killed\n")

    def test_a_wrong_command_line(self):
        for words, said in (
            (["--file", "x"], "add --push"),
            (["--push", "--arch", "x86_64"], "add --file"),
            (["--push", "--file", str(self.local)], "has --arch and --name"),
            (["--push", *self.words, PROJECT], "has --arch and --name"),
        ):
            self.assertIn(said, self.fails("create", *words, code=2))
        said = self.fails("create", "--push", "--file", "no.raw", "--arch", "x86_64", "--name", "a")
        self.assertIn("no.raw cannot be read: No such file or directory", said)
        self.assertEqual(self.service.uploads, [])

    def test_what_the_service_does_not_answer_is_asked_again(self):
        """The URLs of parts are. That it is not told how far the push is does no harm."""
        part_urls, hiccups = self.service.part_urls, 6

        def busy(number, query, body):
            nonlocal hiccups
            hiccups -= bool(body["numbers"])
            if hiccups >= 0 or not body["numbers"]:
                raise Refusal(503, {"message": "Service Unavailable"})
            return part_urls(number, query, body)

        self.service.part_urls = busy
        self.ended(self.started("create", "--push", *self.words), 0)
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)

    def test_begin_and_end_of_a_push_are_tried_as_long_as_its_parts(self):
        for name in ("push", "push_done"):
            perform, hiccups = getattr(self.service, name), [Refusal(503, {"message": "Service Unavailable"})] * 3

            def busy(*request, perform=perform, hiccups=hiccups):
                if hiccups:
                    raise hiccups.pop()
                return perform(*request)

            setattr(self.service, name, busy)
        self.ended(self.started("create", "--push", *self.words), 0)
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)

    def test_what_cannot_be_put_says_how_to_go_on(self):
        self.service.s3_answers = [503] * 1000
        _, told = self.ended(self.started("create", "--push", *self.words), 1)
        self.assertRegex(told, r"^part \d cannot be put \(S3 answered 503 <Error/>\): go on with '.*'\n$")
        command = f"osc cloudupload push 1 --file {self.local}"
        self.assertIn(f"'{command}'", told)
        self.service.s3_answers.clear()
        self.succeeds(*command.split()[2:])
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)

    def test_a_service_that_cannot_be_reached_says_how_to_go_on(self):
        def gone(*_):
            raise ConnectionError

        self.service.push = gone
        _, told = self.ended(self.started("create", "--push", PROJECT, PACKAGE), 1)
        self.assertRegex(told, r"^http://\S+ gave no answer: .*: go on with 'osc cloudupload push 1'\n$")

    def test_a_job_whose_answer_is_lost(self):
        create = self.service.create

        def lost(*request):
            create(*request)
            raise ConnectionError

        self.service.create = lost
        said = self.fails("create", "--push", PROJECT, PACKAGE)
        self.assertIn("gave no answer", said)
        hint = "The job may have been made nevertheless: see 'osc cloudupload list'"
        self.assertTrue(said.endswith(f"{hint}, and 'osc cloudupload push JOB' goes on with it\n"), said)
        self.assertIn("created", self.succeeds("list"))
        self.succeeds("push", "1")
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)
        # The same without a push: there is nothing to go on with.
        self.assertTrue(self.fails("create", PROJECT, PACKAGE).endswith(f"{hint}\n"))
        # What was not sent has made no job.
        self.service.http.server_close()
        said = self.fails("create", "--push", PROJECT, PACKAGE)
        self.assertRegex(said, r"^http://\S+ cannot be reached: .*Connection refused\n$")

    def test_an_interrupted_push_ends_at_once_and_says_how_to_go_on(self):
        self.service.s3_answers = [503] * 1000
        process = self.started("create", "--push", *self.words, pauses=(60,))
        while not self.service.refused_urls:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = self.ended(process, 130, timeout=20)
        self.assertIn(f"go on with 'osc cloudupload push 1 --file {self.local}'", told)

    def test_an_interrupted_push_waits_for_no_part(self):
        """S3 reads nothing more of the parts, or does not answer."""
        self.local.write_bytes(bytes(64 * SLICE))
        self.service.part_size = 32 * SLICE
        read, held, free = self.service.read, threading.Event(), threading.Event()
        self.addCleanup(free.set)

        def hold(file, length):
            body = read(file, min(length, at))
            if length > SLICE:
                held.set()
                free.wait(60)
            return body

        self.service.read = hold
        for at in (SLICE, self.service.part_size):
            held.clear()
            process = self.started("create", "--push", *self.words, silence=60)
            self.assertTrue(held.wait(30))
            process.send_signal(signal.SIGINT)
            _, told = self.ended(process, 130, timeout=20)
            self.assertIn("Interrupted: go on with", told)


class BreaksOfObs(PushOf):
    """OBS is read on."""

    def pushed(self):
        self.ended(self.started("create", "--push", PROJECT, PACKAGE), 0)
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)
        # Each part was put once.
        self.assertEqual(len(self.puts()), 128)

    def fails_to_push(self):
        printed, told = self.ended(self.started("create", "--push", PROJECT, PACKAGE), 1)
        self.assertEqual(printed, "")
        self.assertIsNone(self.service.jobs[1]["pushed"])
        return told

    def replace(self, file):
        file.write_bytes(OTHER)

    def test_an_obs_without_ranges_is_read_again(self):
        self.obs.breaks = [1000, 500, 0, 1279]
        self.pushed()
        self.assertEqual(self.obs.ranges, [None] * 5)

    def test_an_obs_with_ranges_is_read_on(self):
        self.obs.version = lambda file: {"ETag": f'"{zlib.crc32(file)}"', "Last-Modified": "yesterday"}
        self.obs.breaks = [1005, 0, 15]
        self.pushed()
        self.assertIsNone(self.obs.ranges.pop(0))
        at = 0
        for sent, asked in zip((1005, 0, 15), self.obs.ranges):
            begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            # urllib3 2 drops what came of the last read before the break: at most a part.
            self.assertTrue(at + sent - PART_SIZE < begin <= at + sent, self.obs.ranges)
            at = begin
        self.assertEqual(len(self.obs.ranges), 3)

    def test_a_weak_etag_names_no_version(self):
        self.obs.version = lambda _: {"ETag": 'W/"1"', "Last-Modified": "yesterday"}
        self.obs.breaks = [1000]
        self.pushed()
        self.assertEqual(self.obs.ranges, [None, "bytes=1000-"])

    def test_a_silent_obs_is_read_again(self):
        self.obs.breaks, self.obs.is_silent = [1000], True
        self.pushed()

    def test_an_obs_that_stays_away(self):
        self.obs.breaks = [1000, *[500] * 3]
        told = self.fails_to_push()
        self.assertRegex(told, r"^OBS cannot be read any more \(.*\): go on with 'osc cloudupload push 1'\n$")
        self.succeeds("push", "1")
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)

    def test_attempts_begin_anew_with_each_byte(self):
        self.obs.version = lambda _: {"ETag": '"1"'}
        self.obs.breaks = [100] * 12
        self.pushed()

    def test_a_replaced_file(self):
        said = f"{FILE} was replaced in OBS while it was sent: push it again, with a new job\n"
        for version in (None, lambda file: {"ETag": f'"{zlib.crc32(file)}"'}):
            self.built.write_bytes(IMAGE)
            self.obs.version, self.obs.breaks = version, [1000, self.replace]
            self.assertEqual(self.fails_to_push(), said)
            self.service.jobs.clear()

    def test_a_file_that_became_longer(self):
        self.obs.breaks = [1000, lambda file: file.write_bytes(IMAGE + b"more") and None]
        self.assertIn("was replaced in OBS", self.fails_to_push())

    def test_a_file_that_is_gone(self):
        def remove():
            self.built.unlink()
            return 200

        self.service.s3_answers = [200] * 90 + [remove]
        self.obs.breaks = [1000]
        told = self.fails_to_push()
        self.assertRegex(told, r"^OBS cannot be read any more \(HTTP Error 404.*\): go on with 'osc cloudupload push 1'\n$")


class TwoPushes(PushOf):
    """Of the file of one job."""

    def setUp(self):
        super().setUp()
        self.held, self.free = threading.Event(), threading.Event()
        self.addCleanup(self.free.set)

    def hold(self, status=200):
        """S3's answer to a part that takes its time."""
        self.held.set()
        self.free.wait(30)
        return status

    def push_until_held(self, part):
        """A push of the first job that waits for S3's answer to its last part but some."""
        self.service.s3_answers = [200] * (part - 1) + [self.hold] + [200] * 3
        process = self.started("create", "--push", *self.words, silence=60)
        self.assertTrue(self.held.wait(30))
        return process

    def test_at_the_same_time(self):
        killed = self.push_until_held(3)
        killed.kill()
        self.free.set()
        pushes = [self.started("push", "1", "--file", self.local) for _ in range(2)]
        for process in pushes:
            self.assertEqual(self.ended(process, 0)[0], "1\n")
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)

    def test_after_one_that_was_killed(self):
        killed = self.push_until_held(60)
        killed.kill()
        killed.wait()
        self.free.set()
        before = len(self.puts())
        self.succeeds("push", "1", "--file", self.local)
        self.assertEqual(self.service.jobs[1]["pushed"], IMAGE)
        self.assertLess(len(self.puts()) - before, 128 - 50)

    def test_the_slower_one_ends_well(self):
        """S3 takes no parts any more: the other push has sent the file."""
        for state in ("created", "receiving", "succeeded"):
            slow = self.push_until_held(100)
            number = max(self.service.jobs)
            self.succeeds("push", number, "--file", self.local)
            job = self.service.jobs[number]
            self.assertEqual(job["pushed"], IMAGE)
            job.update(state=state, script=[])
            self.held.clear()
            self.free.set()
            printed, told = self.ended(slow, 0)
            self.assertEqual((printed, told), (f"{number}\n", f"the file of job {number} was sent by another push\n"))
            self.free.clear()

    def test_the_slower_one_has_another_file(self):
        self.succeeds("create", "--push", *self.words)
        self.service.jobs[1]["pushed"] = None  # and nobody has said yet that it is complete
        push_done = self.service.push_done

        def slow(*request):
            self.service.push_done = push_done
            self.hold()
            return push_done(*request)

        self.service.push_done = slow
        other = self.home.folder / "other.raw.xz"
        other.write_bytes(OTHER)
        slow = self.started("push", "1", "--file", other)
        self.assertTrue(self.held.wait(30))
        self.succeeds("push", "1", "--file", self.local)
        self.free.set()
        printed, told = self.ended(slow, 1)
        self.assertEqual(printed, "")
        self.assertEqual(told, "the file of job 1 was pushed already, and cannot be changed: create another job\n")
