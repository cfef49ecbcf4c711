import threading
import unittest
from types import SimpleNamespace
from unittest import mock

from acceptance import jobs, uploader
from acceptance.tests.stubs import Free
from acceptance.uploader import Answer, Uploader
from common.failure import Failure


def status(state, details=""):
    return f"<clouduploadjob name='7'><state>{state}</state><details>{details}</details></clouduploadjob>"


class UploaderTest(unittest.TestCase):
    def setUp(self):
        self.stop = threading.Event()
        patience = SimpleNamespace(end_seconds=60, pause_seconds=0)
        self.client = Uploader("https://obs:secret@api.example.org", Free(), patience, self.stop)

    def answers(self, *answers):
        patches = {"request": mock.Mock(side_effect=answers), "BREAK_PAUSE": 0}
        patch = mock.patch.multiple(uploader, **patches)
        patch.start()
        self.addCleanup(patch.stop)

    def test_trouble_of_the_gateway_is_tried_again_and_a_refusal_is_not(self):
        self.answers(Answer(503, ""), status("created"), Answer(404, "no such job"))
        self.assertEqual(uploader.Job(self.client, "7").status()["state"], "created")
        with self.assertRaises(Answer):
            self.client.call("/7")

    def test_a_job_that_ends_too_early_is_an_error(self):
        self.answers(status("receiving"), status("failed", "no way"))
        with self.assertRaisesRegex(Failure, "ended before it was scheduled: no way"):
            uploader.Job(self.client, "7").wait_until(lambda found: found["state"] == "scheduled", "scheduled")

    def test_whoever_waits_for_a_job_ends_with_the_run(self):
        self.answers(status("receiving"), status("receiving"))
        self.stop.set()
        with self.assertRaisesRegex(Failure, "the run was ended"):
            uploader.Job(self.client, "7").wait_for_end()

    def test_a_kill_counts_only_if_the_job_came_no_further(self):
        log = "Receiving x\nKilled.\n"
        for lacks, ok in ((jobs.UPLOADING, True), (jobs.RECEIVING, False)):
            self.answers(status("failed", "killed"), log)
            self.assertEqual(jobs.killed(uploader.Job(self.client, "7"), lacks).ok, ok)

    def test_the_time_of_an_upload_is_in_its_log(self):
        self.assertEqual(jobs.seconds_in("Created image: ami-1\nUpload took: 01:02:03\n"), 3723)
        with self.assertRaises(Failure):
            jobs.seconds_in("Killed.\n")


if __name__ == "__main__":
    unittest.main()
