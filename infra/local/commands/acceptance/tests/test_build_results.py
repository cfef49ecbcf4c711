import base64
import datetime
import importlib.util
import os
import unittest
from unittest import mock

from acceptance.tests.stubs import StubbedAccount
from common.paths import TOP

SOURCE = TOP / "infra" / "acceptance" / "build_results.py"
ENVIRONMENT = {"BUCKET": "files", "PASSWORD": "secret", "AWS_DEFAULT_REGION": "eu-central-1"}
WRITTEN = datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC)
FOLDER = "build/Acceptance/images/x86_64/disk"


def load():
    """The function, as Lambda loads it."""
    spec = importlib.util.spec_from_file_location("build_results", SOURCE)
    module = importlib.util.module_from_spec(spec)
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with mock.patch.dict(os.environ, {**ENVIRONMENT, **keys}, clear=True):
        spec.loader.exec_module(module)
    return module


class BuildResultsTest(unittest.TestCase):
    def setUp(self):
        self.function = load()
        self.account = StubbedAccount()
        self.s3 = self.account.stub("s3")
        self.s3.activate()

    def ask(self, path, password="secret"):
        given = "Basic " + base64.b64encode(f"uploader:{password}".encode()).decode()
        with mock.patch.object(self.function, "S3", self.s3.client):
            return self.function.handler({"rawPath": path, "headers": {"authorization": given}}, None)

    def test_without_the_password_there_is_nothing(self):
        self.assertEqual(self.ask(f"/{FOLDER}", "wrong")["statusCode"], 401)
        self.assertEqual(self.function.handler({"rawPath": "/", "headers": {}}, None)["statusCode"], 401)

    def test_a_list_is_that_of_obs(self):
        found = {"Key": f"{FOLDER}/a&b.raw.xz", "Size": 7, "LastModified": WRITTEN}
        self.s3.add_response("list_objects_v2", {"Contents": [found]}, {"Bucket": "files", "Prefix": f"{FOLDER}/"})
        answer = self.ask(f"/{FOLDER}")
        expected = '<binarylist>\n  <binary filename="a&amp;b.raw.xz" size="7" mtime="1795737600" />\n</binarylist>\n'
        self.assertEqual((answer["statusCode"], answer["body"]), (200, expected))

    def test_a_file_is_behind_a_presigned_url_of_its_region(self):
        # Not stubbed: a URL is presigned without a call.
        with mock.patch.object(self.function.S3, "head_object"):
            answer = self.function.file(f"{FOLDER}/x.raw.xz", "x.raw.xz")
        self.assertEqual(answer["statusCode"], 302)
        url = answer["headers"]["Location"]
        self.assertTrue(url.startswith(f"https://files.s3.eu-central-1.amazonaws.com/{FOLDER}/x.raw.xz?X-Amz-"), url)

    def test_a_file_that_is_not_there_is_404(self):
        self.s3.add_client_error("head_object", "404")
        self.assertEqual(self.ask(f"/{FOLDER}/x.raw.xz")["statusCode"], 404)

    def test_a_slow_file_comes_after_its_seconds(self):
        with (
            mock.patch.object(self.function.S3, "head_object"),
            mock.patch.object(self.function.time, "sleep") as sleep,
        ):
            self.function.file(f"{FOLDER}/slow-20-x.raw.xz", "slow-20-x.raw.xz")
        sleep.assert_called_once_with(20)

    def test_its_source_fits_into_a_parameter_of_a_template(self):
        # CloudFormation quotas: 4,096 bytes; Lambda takes as much in ZipFile.
        self.assertLess(len(SOURCE.read_bytes()), 4096)


if __name__ == "__main__":
    unittest.main()
