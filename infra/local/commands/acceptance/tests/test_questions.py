import re
import unittest

from botocore.exceptions import ClientError

from acceptance import questions
from acceptance.questions import QUESTIONS
from acceptance.tests.stubs import StubbedAccount, target
from common.paths import TOP

PAGE = TOP / "docs" / "acceptance.md"


class Witness:
    """Two roles: what each call answers, by the service."""

    def __init__(self, without, granted):
        self.answers = (without, granted)
        self.target = target(user=StubbedAccount())

    def both(self, _service, _call):
        return self.answers


class QuestionsTest(unittest.TestCase):
    def test_permissions_come_first_if_only_the_refusal_is_one_of_the_permission(self):
        for without, granted, ok in (
            ("AccessDeniedException", "ResourceNotFoundException", True),
            ("ResourceNotFoundException", "ResourceNotFoundException", False),
            ("AccessDeniedException", "AccessDeniedException", False),
            ("AccessDeniedException", "no error", False),
        ):
            with self.subTest(without=without, granted=granted):
                finding = questions.denied_first(Witness(without, granted), "ebs", None)
                self.assertEqual(finding.ok, ok)

    def test_calls_of_the_probes_fit_the_models_of_aws(self):
        account = StubbedAccount()
        ebs, ec2 = account.stub("ebs"), account.stub("ec2")
        for call in ("start_snapshot", "put_snapshot_block", "complete_snapshot"):
            ebs.add_client_error(call, "AccessDeniedException")
        ec2.add_client_error("register_image", "UnauthorizedOperation")
        made = []

        class Calls(Witness):
            def both(self, service, call):
                made.append(service)
                return questions.code_of(lambda: call(account.client(service))), "InvalidSnapshot.NotFound"

        with account.stubbed():
            for probe in (
                questions.start_snapshot,
                questions.put_block,
                questions.complete_snapshot,
                questions.register_image,
            ):
                self.assertTrue(probe(Calls(None, None)).ok)
        self.assertEqual(made, ["ebs", "ebs", "ebs", "ec2"])

    def test_a_deleted_snapshot_that_takes_a_block_is_a_failure(self):
        for error in (True, False):
            witness = Witness(None, None)
            ebs, ec2 = witness.target.user.stub("ebs"), witness.target.user.stub("ec2")
            ebs.add_response("start_snapshot", {"SnapshotId": "snap-1"})
            ec2.add_response("delete_snapshot", {}, {"SnapshotId": "snap-1"})
            if error:
                ebs.add_client_error("put_snapshot_block", "ResourceNotFoundException")
            else:
                ebs.add_response("put_snapshot_block", {})
            with witness.target.user.stubbed():
                self.assertEqual(questions.late_writer(witness).ok, error)

    def test_an_error_of_aws_is_told_by_its_code(self):
        def refuse():
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "HeadBucket")

        self.assertEqual(questions.code_of(refuse), "AccessDenied")
        self.assertEqual(questions.code_of(lambda: None), "no error")

    def test_each_question_has_a_row_in_the_page_and_each_row_a_question(self):
        rows = re.findall(r"^\| `([a-z][a-z-]+)` \|", PAGE.read_text(), re.MULTILINE)
        self.assertEqual(sorted(rows), sorted(question.name for question in QUESTIONS))

    def test_the_page_that_assumes_something_names_its_question(self):
        for question in QUESTIONS:
            with self.subTest(question.name):
                self.assertTrue(f"`{question.name}`" in (TOP / question.page).read_text())

    def test_what_is_not_known_names_a_question(self):
        known = {question.name for question in QUESTIONS}
        pages = [*(TOP / "docs").glob("*.md"), TOP / "README.md"]
        for page in pages:
            for sentence in re.findall(r"Not known without AWS.*?(?=\n\n|\Z)", page.read_text(), re.DOTALL):
                with self.subTest(page=page.name, sentence=sentence):
                    self.assertTrue(known & set(re.findall(r"`([a-z-]+)`", sentence)))


if __name__ == "__main__":
    unittest.main()
