"""The stacks in the emulated AWS, put there by `sam deploy`."""

import concurrent.futures
import hashlib
import os
import platform
import secrets
import shutil
import urllib.parse

from common.failure import Failure
from common.paths import LOCAL, shown
from common.process import run_logged
from stack.steps import step
from stack.tools import TOOLS

STACK, USER_STACK, EC2_ROLE_STACK = "cloudupload", "obs-cloudupload", "obs-ec2-role"
REGION = "us-east-1"
# The user's account and the region of the uploads are others than the service's, so that a mix-up shows. The emulator
# takes an access key of twelve digits for the root of that account (infra/local/emulator/README.md).
USER_ACCOUNT, USER_REGION = "111122223333", "eu-central-1"

CANARY_IMAGE = "Cloud:Images/images/x86_64/canary/disk.raw.xz"
"""Where the tests put the canary's image (tests/tests/canary.rs)."""


def architecture_here():
    """This machine's, as the template's parameter Architecture names it."""
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Deployment:
    """The service's stack and the user's two. Templates come from the checkout `sources`, binaries from `functions`."""

    def __init__(self, folder, port, obs_url, parameters, sources, functions):
        self.folder, self.obs_url, self.parameters = folder, obs_url, parameters
        self.sources, self.functions = sources, functions
        self.source_template = sources / "infra" / "template.yaml"
        self.user_template = sources / "infra" / "user-account.yaml"
        self.ec2_role_template = LOCAL / "ec2-role.yaml"
        self.endpoint = f"http://127.0.0.1:{port}"
        self.external_id = folder / "external-id"
        self.template = folder / "template.yaml"

    def up(self, run_of_emulator):
        """Deploys all stacks, unless the same lies in this run of the emulator already."""
        self.build()
        digest = self.digest(run_of_emulator)
        stamp = self.folder / "deployed"
        if stamp.exists() and stamp.read_text() == digest:
            return
        stamp.unlink(missing_ok=True)
        if not self.external_id.exists():
            self.external_id.write_text(secrets.token_urlsafe(24))
        service_account = self.client("sts").get_caller_identity()["Account"]
        with step(f"sam deploy: {STACK} in account {service_account}, {USER_STACK} and {EC2_ROLE_STACK} in {USER_ACCOUNT}"):
            with concurrent.futures.ThreadPoolExecutor() as pool:
                for deployed in [pool.submit(self.deploy_service), pool.submit(self.deploy_user, service_account)]:
                    deployed.result()
        stamp.write_text(digest)

    def build(self):
        """Lays out what `sam build` would: a folder for each function, and a template that points there."""
        # These modules are those of SAM's environment.
        from samcli.yamlhelper import yaml_dump, yaml_parse

        template = yaml_parse(self.source_template.read_text())
        built = self.folder / "functions"
        shutil.rmtree(built, ignore_errors=True)
        for resource in template["Resources"].values():
            if resource.get("Metadata", {}).get("SkipBuild"):
                resource["Properties"]["CodeUri"] = str(self.source_template.parent / resource["Properties"]["CodeUri"])
            elif resource["Type"] == "AWS::Serverless::Function":
                name = resource.pop("Metadata")["BuildProperties"]["Binary"]
                binary = self.functions / name
                (built / name).mkdir(parents=True)
                try:
                    shutil.copy2(binary, built / name / "bootstrap")
                except FileNotFoundError as error:
                    raise Failure(f"{shown(binary)} is not there: build it first, with `make build`") from error
                resource["Properties"]["CodeUri"] = str(built / name)
            elif resource["Type"] == "AWS::Serverless::StateMachine":
                definition = self.source_template.parent / resource["Properties"]["DefinitionUri"]
                resource["Properties"]["DefinitionUri"] = str(definition)
        del template["Globals"]["Function"]["CodeUri"]
        self.template.write_text(yaml_dump(template))

    def digest(self, run_of_emulator):
        """What the deployed stacks are made of, as one word."""
        digest = hashlib.sha256(repr((run_of_emulator, self.obs_url, self.parameters)).encode())
        definitions = self.source_template.parent.glob("*.asl.json")
        templates = self.template, self.user_template, self.ec2_role_template
        published = self.source_template.parent.glob("user-template/*.py")
        for source in (*templates, self.samconfig(), *definitions, *sorted(published)):
            digest.update(source.read_bytes())
        for binary in sorted(self.folder.glob("functions/*/bootstrap")):
            digest.update(repr((binary, binary.stat().st_size, binary.stat().st_mtime_ns)).encode())
        return digest.hexdigest()

    def samconfig(self):
        return self.sources / "samconfig.toml"

    def deploy_service(self):
        parameters = {"ObsUrl": self.obs_url, "Architecture": architecture_here()}
        # The release before this one has no such parameter: it has no users.
        if "AllowedProjects:" in self.template.read_text():
            parameters["AllowedProjects"] = "Cloud:*"
        # Nor a canary.
        if "CanaryImage:" in self.template.read_text():
            parameters |= self.canary()
        parameters |= self.parameters
        self.deploy(STACK, self.template, "test", REGION, parameters)

    def canary(self):
        """Parameters of a canary in the user's account. It runs when a test invokes it."""
        return {
            "CanaryImage": CANARY_IMAGE,
            "CanaryRoleArn": f"arn:aws:iam::{USER_ACCOUNT}:role/{USER_STACK}",
            "CanaryExternalId": self.external_id.read_text(),
            "CanaryRegion": USER_REGION,
        }

    def deploy_user(self, service_account):
        """Both of the user's stacks, one after the other: SAM makes a bucket for its templates with the first."""
        trust = {"ServiceAccountId": service_account, "ExternalId": self.external_id.read_text()}
        parameters = dict(trust)
        # The release before this one has no such parameter: its users always have this route.
        if "ImportRoute:" in self.user_template.read_text():
            parameters["ImportRoute"] = "yes"
        self.deploy_role(USER_STACK, self.user_template, parameters)
        self.deploy_role(EC2_ROLE_STACK, self.ec2_role_template, trust)

    def deploy_role(self, stack, template, parameters):
        self.deploy(stack, template, USER_ACCOUNT, USER_REGION, parameters, "--capabilities", "CAPABILITY_NAMED_IAM")

    def deploy(self, stack, template, key, region, parameters, *options):
        overrides = [f"ParameterKey={name},ParameterValue={value}" for name, value in parameters.items()]
        command = [
            TOOLS / "sam" / "bin" / "sam",
            "deploy",
            "--config-file",
            self.samconfig(),
            "--template-file",
            template,
        ]
        command += ["--stack-name", stack, "--region", region]
        command += ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar", *options]
        command += ["--parameter-overrides", *overrides]
        run_logged(command, self.folder / f"deploy-{stack}.log", env=self.environment(key, region))

    def environment(self, access_key, region):
        """What a client needs to work in an account, and nothing of what this machine's own AWS settings say."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(TOOLS / "sam" / "app"),
        }

    def client(self, service, key="test", region=REGION):
        import boto3

        return boto3.Session(aws_access_key_id=key, aws_secret_access_key="test", region_name=region).client(
            service, endpoint_url=self.endpoint
        )

    def service_outputs(self):
        return self.outputs(STACK, "test", REGION)

    def credentials(self):
        """Name and secret of OBS's frontend, as they stand in a URL. Versions before there were callers have none."""
        secret = self.service_outputs().get("FrontendSecret")
        if not secret:
            return ""
        text = self.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
        return f"obs:{urllib.parse.quote(text, safe='')}@"

    def user_outputs(self):
        return self.outputs(USER_STACK, USER_ACCOUNT, USER_REGION)

    def ec2_role_outputs(self):
        return self.outputs(EC2_ROLE_STACK, USER_ACCOUNT, USER_REGION)

    def outputs(self, stack, key, region):
        (found,) = self.client("cloudformation", key, region).describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}

    def api_id(self):
        found = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId="HttpApi")
        return found["StackResourceDetail"]["PhysicalResourceId"]
