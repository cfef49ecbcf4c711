"""The stand-ins between which `bench` runs functions."""

import http.client
import json
import unittest

from bench.standins import Loopback, Recorder


class ARecorder(unittest.TestCase):
    def setUp(self):
        self.asked = []

        def answer(_method, _path, _headers, body):
            self.asked.append(json.loads(body))
            return 200, {"Content-Type": "application/x-amz-json-1.0"}, b"%d" % len(self.asked)

        self.recorder = Recorder(f"http://{Loopback(answer).address}")

    def ask(self, operation, body):
        connection = http.client.HTTPConnection(self.recorder.server.address, timeout=10)
        self.addCleanup(connection.close)
        connection.request("POST", "/", body, {"X-Amz-Target": operation})
        return int(connection.getresponse().read())

    def test_knows_a_request_in_another_order(self):
        self.assertEqual(self.ask("GetItem", '{"names": {"#a": "a", "#b": "b"}, "keys": [1, 2]}'), 1)
        self.assertEqual(self.ask("GetItem", '{"keys":[1,2],"names":{"#b":"b","#a":"a"}}'), 1)
        self.assertEqual((self.recorder.asked, len(self.asked)), (2, 1))

    def test_asks_for_what_is_another_request(self):
        self.assertEqual(self.ask("GetItem", '{"keys": [1, 2]}'), 1)
        self.assertEqual(self.ask("GetItem", '{"keys": [2, 1]}'), 2)
        self.assertEqual(self.ask("Query", '{"keys": [1, 2]}'), 3)


if __name__ == "__main__":
    unittest.main()
