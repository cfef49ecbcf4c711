"""`create --push` and `push` by the real osc, with stand-ins for OBS, the cloud uploader and S3."""

from tests.fake_service import AMI, PART_SIZE
from tests.world import FILE, PACKAGE, PROJECT, World

IMAGE = bytes(range(256)) * 5
"""Of 128 parts."""


class Push(World):
    def setUp(self):
        super().setUp()
        self.sign_in()
        self.build()
        self.built = self.root / PROJECT / "images" / "x86_64" / PACKAGE / FILE
        self.built.write_bytes(IMAGE)
        self.local = self.home.folder / "leap.raw.xz"
        self.local.write_bytes(IMAGE)
        self.words = ["--file", str(self.local), "--arch", "aarch64", "--name", "leap"]

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
        puts = [path for method, path in self.service.requests if method == "PUT" and path.startswith("/s3/")]
        self.assertEqual(len(puts), 128 + 4)
        # A URL that S3 refused is not used again.
        self.assertEqual(len(self.service.refused_urls), 3)
        for url in self.service.refused_urls:
            self.assertEqual(puts.count(url), 1)

    def test_what_was_interrupted_goes_on(self):
        short = self.home.folder / "short" / "leap.raw.xz"
        short.parent.mkdir()
        self.succeeds("create", "--push", *self.words)
        job = self.service.jobs[1]
        for part in (2, 128):
            del job["parts"][part]
        job["pushed"] = None
        self.service.requests.clear()
        self.assertEqual(self.succeeds("push", "1", "--file", str(self.local)), "1\n")
        self.assertEqual(job["pushed"], IMAGE)
        puts = [path for method, path in self.service.requests if method == "PUT" and path.startswith("/s3/")]
        self.assertEqual(len(puts), 2)
        # Nothing is left to do.
        self.succeeds("push", "--file", str(self.local))
        self.assertIn("--file", self.fails("push", "1", code=2))
        short.write_bytes(IMAGE[:-1])
        self.assertIn("it is another file", self.fails("push", "1", "--file", str(short)))

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
