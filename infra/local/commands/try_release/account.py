"""An AWS account, as its administrator reaches it: with the AWS CLI."""

import json
import os
import shutil

from common.failure import Failure
from common.process import run_logged, tail
from stack.tools import TOOLS, base_python

PROGRAMS = ("sh", "cat", "dirname", "sed", "sha256sum")
"""All that the release may need, beside `aws`."""


class Account:
    """`files` is where the commands run, `folder` is for what they print, and `programs` are all that they may need."""

    def __init__(self, folder, files, endpoint, access_key, region, programs=PROGRAMS):
        self.files, self.log = files, folder / "aws.log"
        shutil.rmtree(folder, ignore_errors=True)
        path = folder / "bin"
        path.mkdir(parents=True)
        for name in programs:
            # What is called python3 may be a script that looks for others in the path.
            (path / name).symlink_to(base_python() if name == "python3" else shutil.which(name))
        (path / "aws").symlink_to(TOOLS / "aws" / "bin" / "aws")
        # Nothing of the caller's environment, and no program but these.
        self.env = {
            "PATH": str(path),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "NO_PROXY": os.environ["NO_PROXY"],
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def shell(self, command):
        run_logged(["sh", "-c", command], self.log, env=self.env, cwd=self.files)
        return self.log.read_text()

    def json(self, *words):
        """The answer of a call."""
        try:
            return json.loads(self.shell(" ".join(["aws", *words, "--output json"])))
        except ValueError as error:
            raise Failure(f"aws {words[0]} {words[1]} printed no JSON.\n{tail(self.log)}") from error

    def outputs(self, stack):
        (found,) = self.json("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}

    def resource(self, stack, name):
        """The physical id of a resource."""
        found = self.json(
            "cloudformation", "describe-stack-resource", "--stack-name", stack, "--logical-resource-id", name
        )
        return found["StackResourceDetail"]["PhysicalResourceId"]
