import datetime
import unittest
from unittest import mock

from botocore.exceptions import ClientError

from acceptance import leftovers, removal
from acceptance.tests.stubs import Free, StubbedAccount, target

RUN = "acceptance-261127-120000-abcd"


class RemovalTest(unittest.TestCase):
    def setUp(self):
        self.service, self.user = StubbedAccount("000000000000"), StubbedAccount()
        regions = {"regions": lambda: ["eu-central-1"], "user_bucket": lambda region: f"bucket-{region}"}
        self.target = target(service=self.service, user=self.user, **regions)
        self.removal = removal.Removal(self.target, Free(), lambda _line: None)

    def test_a_snapshot_that_an_ami_still_uses_is_deleted_a_little_later(self):
        ec2 = self.user.stub("ec2")
        ec2.add_client_error("delete_snapshot", "InvalidSnapshot.InUse")
        ec2.add_response("delete_snapshot", {}, {"SnapshotId": "snap-1"})
        with self.user.stubbed(), mock.patch.object(removal.time, "sleep"):
            removal.delete_snapshot(ec2.client, "snap-1")

    def test_a_snapshot_that_is_gone_is_no_error(self):
        ec2 = self.user.stub("ec2")
        ec2.add_client_error("delete_snapshot", "InvalidSnapshot.NotFound")
        with self.user.stubbed():
            removal.delete_snapshot(ec2.client, "snap-1")

    def test_what_goes_wrong_with_a_snapshot_is_told(self):
        ec2 = self.user.stub("ec2")
        ec2.add_client_error("delete_snapshot", "UnauthorizedOperation")
        with self.user.stubbed(), self.assertRaises(ClientError):
            removal.delete_snapshot(ec2.client, "snap-1")

    def test_tables_of_this_run_are_deleted_although_they_are_protected(self):
        dynamodb = self.service.stub("dynamodb")
        tables = [f"{RUN}-Jobs-1", "cloudupload-Jobs-2", f"{RUN}0-Jobs-3"]
        dynamodb.add_response("list_tables", {"TableNames": tables}, {})
        table = {"TableName": f"{RUN}-Jobs-1"}
        protected = {"TableStatus": "ACTIVE", "DeletionProtectionEnabled": True}
        dynamodb.add_response("describe_table", {"Table": protected}, table)
        dynamodb.add_response("update_table", {}, {**table, "DeletionProtectionEnabled": False})
        dynamodb.add_response("describe_table", {"Table": {"TableStatus": "ACTIVE"}}, table)
        dynamodb.add_response("delete_table", {}, table)
        dynamodb.add_client_error("describe_table", "ResourceNotFoundException", expected_params=table)
        with self.service.stubbed():
            self.removal.remove_tables()

    def test_a_bucket_that_was_there_before_the_run_stays(self):
        began = datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC)
        for minutes, deleted in ((5, True), (-5, False)):
            made = began + datetime.timedelta(minutes=minutes)
            with self.subTest(deleted=deleted):
                self.setUp()
                s3 = self.user.stub("s3")
                buckets = [{"Name": "bucket-eu-central-1", "CreationDate": made}]
                s3.add_response("list_buckets", {"Buckets": buckets}, {})
                if deleted:
                    s3.add_response("list_objects_v2", {}, {"Bucket": "bucket-eu-central-1"})
                    s3.add_response("delete_bucket", {}, {"Bucket": "bucket-eu-central-1"})
                with self.user.stubbed():
                    self.removal.remove_user_buckets(began)

    def test_only_what_has_the_tag_of_the_deployment_is_ours(self):
        ours = leftovers.Leftovers(self.target, "11-22")
        for value, expected in (("11-22/job-3", True), ("33-44/job-3", False), ("11-22-55/job-3", False)):
            self.assertEqual(ours.is_ours({"Tags": [{"Key": "obs:job", "Value": value}]}), expected)
        self.assertFalse(ours.is_ours({"Tags": [{"Key": "Name", "Value": "11-22/job-3"}]}))
        self.assertFalse(ours.is_ours({}))

    def test_an_ami_that_is_disabled_is_found_too(self):
        ec2 = self.user.stub("ec2")
        asked = {"Owners": ["self"], "IncludeDisabled": True, "Filters": [{"Name": "tag-key", "Values": ["obs:job"]}]}
        image = {"ImageId": "ami-1", "State": "disabled", "Tags": [{"Key": "obs:job", "Value": "11-22/job-3"}]}
        ec2.add_response("describe_images", {"Images": [image]}, asked)
        with self.user.stubbed():
            self.assertEqual(leftovers.Leftovers(self.target, "11-22").images(ec2.client), ["ami-1"])

    def test_what_is_beyond_the_expected_is_left(self):
        found = {"AMIs": ["ami-1", "ami-2"], "snapshots": ["snap-1"]}
        self.assertEqual(leftovers.without(found, {"ami-1", "snap-1"}), {"AMIs": ["ami-2"]})
        self.assertEqual(leftovers.words(leftovers.without(found, {"ami-1"})), "AMIs: ami-2; snapshots: snap-1")

    def test_one_failure_does_not_keep_the_other_removals(self):
        done = []
        self.removal.service_stack = lambda: (None, None)
        self.removal.end_jobs = mock.Mock(side_effect=OSError("no answer"))
        for step in ("remove_probes", "empty_buckets", "remove_tables", "remove_logs"):
            setattr(self.removal, step, lambda step=step: done.append(step))
        with mock.patch.multiple(removal, boot=mock.DEFAULT, roles=mock.DEFAULT, Stack=mock.DEFAULT):
            self.removal.all()
        self.assertEqual(done, ["remove_probes", "empty_buckets", "remove_tables", "remove_logs"])
        self.assertEqual(self.removal.problems, ["running jobs: no answer"])


if __name__ == "__main__":
    unittest.main()
