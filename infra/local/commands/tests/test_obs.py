import re
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from obs.server import Server

BYTES = bytes(range(256)) * 16


class ObsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.package = Path(folder.name, "Cloud:Images", "images", "x86_64", "leap")
        self.package.mkdir(parents=True)
        (self.package / "leap.raw.xz").write_bytes(BYTES)
        server = Server(0, folder.name, None)
        server.RequestHandlerClass.log = lambda _: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def get(self, path, **headers):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(urllib.request.Request(self.url + path, headers=headers), timeout=10)

    def test_a_build_result_is_sent_whole_whatever_range_is_asked_for(self):
        with self.get("/build/Cloud:Images/images/x86_64/leap/leap.raw.xz", Range="bytes=16-") as answer:
            self.assertEqual((answer.status, answer.read()), (200, BYTES))

    def test_the_public_door_honours_a_range(self):
        with self.get("/public/build/Cloud:Images/images/x86_64/leap/leap.raw.xz", Range="bytes=16-31") as answer:
            self.assertEqual((answer.status, answer.read()), (206, BYTES[16:32]))
            self.assertEqual(answer.headers["Content-Range"], f"bytes 16-31/{len(BYTES)}")

    def listed(self, path):
        with self.get(path) as answer:
            return re.findall('(?:entry name|status package)="(.*?)"', answer.read().decode())

    def status(self, path):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get(path)
        refused.exception.close()
        return refused.exception.code

    def test_the_public_door_has_the_lists_of_the_source_server_but_no_list_of_projects(self):
        self.assertEqual(self.listed("/public/build/Cloud:Images"), ["images"])
        self.assertEqual(self.listed("/public/build/Cloud:Images/images"), ["x86_64"])
        self.assertEqual(self.listed("/public/build/Cloud:Images/images/x86_64"), ["leap"])
        self.assertEqual(self.status("/public/build"), 400)
        self.assertEqual(self.status("/"), 400)
        self.assertEqual(self.status("/public/build/Cloud:Other"), 404)
        (self.package.parents[2] / ".hidden").mkdir()
        for path in ("", "/images", "/images/x86_64", "/images/x86_64/leap", "/images/x86_64/leap/leap.raw.xz"):
            self.assertEqual(self.status(f"/public/build/Cloud:Images{path}"), 404, path)

    def test_the_repository_server_lists_what_is_published_and_results(self):
        self.assertEqual(self.listed("/published"), ["Cloud:Images"])
        self.assertEqual(self.listed("/published/Cloud:Images"), ["images"])
        self.assertEqual(self.listed("/_result?prpa=Cloud:Images/images/x86_64"), ["leap"])
        for path in ("/build", "/build/Cloud:Images", "/build/Cloud:Images/images", "/build/Cloud:Images/images/x86_64"):
            self.assertEqual(self.status(path), 400, path)

    def test_the_root_is_no_request(self):
        # By which `stack up` finds out that the server runs.
        self.assertEqual(self.status("/"), 400)

    def test_a_fault_is_taken_once_and_the_sidecar_is_not_listed(self):
        (self.package / "leap.raw.xz.faults.json").write_text('[{"status": 503}, {"after": 100, "do": "short"}]')
        path = "/build/Cloud:Images/images/x86_64/leap"
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get(f"{path}/leap.raw.xz")
        self.assertEqual(refused.exception.code, 503)
        refused.exception.close()
        with self.get(f"{path}/leap.raw.xz") as answer:
            self.assertEqual(answer.read(), BYTES[:100])
        with self.get(f"{path}/leap.raw.xz") as answer:
            self.assertEqual(answer.read(), BYTES)
        with self.get(path) as answer:
            self.assertEqual(answer.read().decode().count("<binary "), 1)

    def test_a_fault_for_a_byte_waits_for_the_get_that_begins_there(self):
        faults = '[{"from": 16, "status": 503}, {"etag": "\\"other\\""}]'
        (self.package / "leap.raw.xz.faults.json").write_text(faults)
        path = "/public/build/Cloud:Images/images/x86_64/leap/leap.raw.xz"
        with self.get(path, Range="bytes=0-15") as answer:
            self.assertEqual((answer.status, answer.headers["ETag"]), (206, '"other"'))
        with self.get(path, Range="bytes=32-47") as answer:
            self.assertEqual((answer.status, answer.read()), (206, BYTES[32:48]))
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get(path, Range="bytes=16-31")
        self.assertEqual(refused.exception.code, 503)
        refused.exception.close()
        with self.get(path, Range="bytes=16-31") as answer:
            self.assertEqual(answer.read(), BYTES[16:32])

    def test_the_checksum_beside_a_build_result_is_one_too(self):
        (self.package / "leap.raw.xz.sha256").write_text("0" * 64 + "  leap.raw.xz\n")
        path = "/build/Cloud:Images/images/x86_64/leap"
        with self.get(f"{path}/leap.raw.xz.sha256") as answer:
            self.assertEqual(answer.read()[64:], b"  leap.raw.xz\n")
        with self.get(path) as answer:
            self.assertEqual(answer.read().decode().count("<binary "), 2)

    def test_names_that_obs_refuses_are_refused_in_its_words(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get("/build/Cloud::Images/images/x86_64/leap")
        with refused.exception as answer:
            self.assertEqual(answer.code, 400)
            self.assertIn("projid 'Cloud::Images' is illegal", answer.read().decode())


if __name__ == "__main__":
    unittest.main()
