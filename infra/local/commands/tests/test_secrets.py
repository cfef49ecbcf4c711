import unittest
from unittest import mock

from check.secrets import events, names_in, secrets_of


class SecretsTest(unittest.TestCase):
    def test_every_form_of_a_secret_is_found(self):
        env = {"CLOUDUPLOAD_URL": "http://obs:s3cret@127.0.0.1:4680", "USER_EXTERNAL_ID": "id-17"}
        secrets = secrets_of(env)
        for line, name in (
            ("http://obs:s3cret@127.0.0.1", "the secret of OBS"),
            ("Authorization: Basic b2JzOnMzY3JldA==", "the same as it is sent"),
            ('{"ExternalId": "id-17"}', "the external ID"),
            (f"Authorization: Bearer cloudup_tom_m_{'0f' * 32}", "a user's token"),
        ):
            self.assertEqual(names_in(line, secrets), [name])
        self.assertEqual(names_in("Created image: ami-1", secrets), [])

    def test_a_log_is_read_to_its_end(self):
        times = (1, 1, 2, 3, 3, 3, 4, 5, 5)
        log = [{"timestamp": at, "logStreamName": "s", "message": str(line)} for line, at in enumerate(times)]

        def ministack(_env, _service, _target, request):
            return {"events": [event for event in log if event["timestamp"] >= request["startTime"]][:4]}

        with mock.patch("common.aws.json_call", ministack):
            self.assertEqual(list(events({}, "group")), [event["message"] for event in log])


if __name__ == "__main__":
    unittest.main()
