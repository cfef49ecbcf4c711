"""The cloud uploader that those meet who push in the measurements, and what is told of them."""

import json
import unittest

from bench.push import HEAD, MD5, SINKS, Rounds, require_all, speed_rows
from bench.pushers import Push
from bench.table import Limits
from bench.uploader import Uploader
from common.failure import Failure
from common.units import MIB

CRC32 = "y/Q5Jg=="


class Sink:
    """Has the same of every upload."""

    def __init__(self, size):
        self.size = size

    def received(self, _upload):
        return {"size": self.size, "crc32": CRC32}

    def part_url(self, upload, number):
        return f"http://sink/{upload}/{number}"


class UploaderTest(unittest.TestCase):
    def setUp(self):
        self.sink = Sink(20 * MIB)
        self.uploader = Uploader(self.sink)
        self.number = self.uploader.add(20 * MIB)

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body else b""
        status, _, answer = self.uploader.answer(method, f"/v1/jobs/{self.number}{path}", {}, data)
        return status, json.loads(answer)

    def test_a_file_is_pushed(self):
        _, push = self.call("GET", "/push")
        self.assertEqual(push, {"size": 20 * MIB, "part_size": 8 * MIB, "parts": 3, "missing": [1, 2, 3], "done": False})
        _, urls = self.call("POST", "/push/parts", {"numbers": [2, 3], "sent": 0})
        upload = self.uploader.uploads()[0]
        sizes = [(part["number"], part["size"], part["url"]) for part in urls["parts"]]
        expected = [(2, 8 * MIB, f"http://sink/{upload}/2"), (3, 4 * MIB, f"http://sink/{upload}/3")]
        self.assertEqual(sizes, expected)
        with self.assertRaises(Failure):
            self.uploader.received(self.number)
        self.assertEqual(self.call("POST", "/push/done", {"crc32": CRC32})[0], 200)
        self.assertEqual(self.uploader.received(self.number)["size"], 20 * MIB)
        self.assertEqual(self.call("GET", "/push")[1]["missing"], [])

    def test_what_the_sink_does_not_have_is_not_taken_as_complete(self):
        self.assertEqual(self.call("POST", "/push/done", {"crc32": "AAAAAA=="})[0], 409)
        with self.assertRaises(Failure):
            self.uploader.received(self.number)
        self.number, self.sink.size = self.uploader.add(20 * MIB), 19 * MIB
        self.assertEqual(self.call("POST", "/push/done", {"crc32": CRC32})[0], 409)

    def test_the_reason_of_an_end_is_told(self):
        self.call("POST", "/push/abort", {"reason": "torn"})
        with self.assertRaisesRegex(Failure, "torn"):
            self.uploader.received(self.number)

    def test_files_are_divided_as_the_service_does(self):
        # As the test of `Parts` has it: 10,000 parts at most.
        for size, part_size, parts in ((1, 8 * MIB, 1), (80_000 * MIB, 8 * MIB, 10_000), (80_000 * MIB + 1, 9 * MIB, 8_889)):
            job = self.uploader.jobs[self.uploader.add(size)]
            self.assertEqual((job.part_size, job.parts), (part_size, parts))


def pushes(took):
    return [Push(took, took / 2, 0.1, 0.2, 0.3)] * 3


class TableTest(unittest.TestCase):
    def test_the_bars_are_for_the_sink_that_computes_md5(self):
        slow = Rounds(curls=pushes(1), curl=pushes(1), osc=pushes(2), relay=pushes(2))
        fast = Rounds(curls=pushes(1), curl=pushes(1), osc=pushes(1), relay=pushes(1))
        for in_time, exceeded in ((fast, 0), (slow, 3)):
            limits = Limits()
            others = slow if in_time is fast else fast
            rows = speed_rows({name: in_time if name == MD5 else others for name in SINKS}, limits)
            self.assertEqual(len(limits.exceeded), exceeded, limits.exceeded)
            self.assertEqual({len(row) for row in rows}, {len(HEAD)})

    def test_a_byte_too_few_or_a_part_too_often_is_no_push(self):
        files = type("Files", (), {"crc32": CRC32})
        good = {"size": 1024 * MIB, "crc32": CRC32, "parts": 128, "puts": 128}
        require_all(files, "job-1", good)
        for wrong in ({"size": 1}, {"crc32": ""}, {"puts": 129}):
            with self.assertRaises(Failure):
                require_all(files, "job-1", {**good, **wrong})
