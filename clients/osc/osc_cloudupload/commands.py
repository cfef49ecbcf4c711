"""The commands, as osc takes them.

osc reads this module at each of its starts. So what a command needs is imported when it runs.
"""

import argparse
import sys
from inspect import getdoc

from osc.commandline import OscCommand

WISHES = {
    "route": (["direct", "import", "copy"], "the way into your account (the best one that your role allows)"),
    "boot_mode": (
        ["legacy-bios", "uefi", "uefi-preferred"],
        "the AMI's boot mode (as the disk's partition table tells)",
    ),
    "tpm_support": (["v2.0", "none"], "whether instances get a TPM (none)"),
    "imds_support": (["v2.0", "none"], "whether instances answer by IMDSv2 only (v2.0)"),
    "ena_support": (["true", "false"], "enhanced networking (true)"),
    "root_device_name": (None, "the root device's name (/dev/sda1)"),
    "volume_size": (None, "GiB of the root volume (the disk's size)"),
    "encrypted": (["true", "false"], "whether the snapshot is encrypted (false)"),
    "kms_key_id": (None, "the KMS key that encrypts the snapshot"),
}
"""What may be wished of an AMI (docs/json.md), beside its region, name and tags: the values, and what it is."""


def tag(text):
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


class CloudUploadCommand(OscCommand):
    """
    Bring images that OBS has built to Amazon EC2

    An image that OBS has built becomes an AMI in your own AWS account. Begin with 'osc cloudupload setup'.

    oscrc keeps the address of the cloud uploader and your token. Where there is no oscrc, as in CI,
    OSC_CLOUDUPLOAD_URL and OSC_CLOUDUPLOAD_TOKEN have them.

    Results are on standard output, all else is on standard error. The exit code is 0 if all went well,
    1 if something failed, and 2 if the command line was wrong.
    """

    name = "cloudupload"

    def run(self, args):
        self.parser.print_help()
        sys.exit(2)


class Subcommand(OscCommand):
    parent = "CloudUploadCommand"

    def init_arguments(self):
        self.name_parent()
        self.add_argument("--json", action="store_true", help="print JSON, as the cloud uploader answers it")

    def name_parent(self):
        """osc leaves the parent's name out of the usage."""
        self.parser.prog = f"osc [global opts] cloudupload {self.name}"
        vars(self.parser).pop("_formatter", None)  # in which newer versions of osc keep the name

    def run(self, args):
        if args.positional_args:
            self.parser.error(f"unrecognized arguments: {' '.join(args.positional_args)}")
        # Not as a result, which early versions of osc ignore.
        sys.exit(self.act(args))

    def api(self):
        from . import config
        from .api import Api

        return Api(config.service())

    def add_job(self):
        self.add_argument("job", metavar="JOB", type=int, nargs="?", help="the job's number (your newest job)")

    def job_number(self, api, args):
        """The job of the command line, or the newest one."""
        from .failure import Failure

        if args.job is not None:
            return args.job
        newest = api.jobs(1)
        if not newest:
            raise Failure("you have no jobs yet: make one with 'osc cloudupload create'")
        return newest[0]["id"]

    def watch(self, api, args, number):
        from . import progress, terminal

        job = progress.watch(api, number)
        is_there = job["ami"] and job["image_deleted"] is None
        if job["state"] != "succeeded":
            terminal.tell(f"job {number} failed: {job['details']}")
        elif not is_there:
            terminal.tell(f"the image of job {number} was deleted")
        if args.json or is_there:
            self.put(args, job, job["ami"])
        return 0 if is_there else 1

    def put(self, args, value, text):
        """Prints a result: as JSON, or as text for people."""
        if args.json:
            import json

            text = json.dumps(value, indent=2)
        print(text)


class NewJob(Subcommand):
    """What makes a job."""

    def init_arguments(self):
        super().init_arguments()
        self.add_argument(
            "-w", "--watch", action="store_true", help="watch the new job, as 'osc cloudupload watch' does"
        )

    def made(self, api, args, job):
        if not args.watch:
            self.put(args, job, job["id"])
            return 0
        return self.watch(api, args, job["id"])


class CloudUploadCreate(NewJob):
    """
    Upload an image

    Prints the new job's number. In a package's checkout, project and package are known. If OBS has built one
    cloud image of the package, that one is meant; of several, you are asked which.

    With --push, the image goes through this machine, for an OBS that the cloud uploader cannot reach: osc reads it
    from OBS, or from --file, and sends it on. What breaks is tried again for about five minutes. After that, or if you
    end it, go on with 'osc cloudupload push'.

    Examples:
        osc cloudupload create --watch
        osc cloudupload create Cloud:Images leap-ec2 images x86_64 --region eu-west-1
        osc cloudupload create --push --file leap.raw.xz --arch x86_64 --name leap
    """

    name = "create"

    def init_arguments(self):
        super().init_arguments()
        self.add_argument(
            "image",
            metavar="PROJECT PACKAGE [REPOSITORY ARCH [FILE]]",
            nargs="*",
            help="the image; a package may be a flavor, PACKAGE:FLAVOR",
        )
        self.add_argument("--push", action="store_true", help="send the image from this machine")
        self.add_argument("--file", metavar="FILE", help="with --push: a local image, and not one of OBS")
        self.add_argument("--arch", choices=["x86_64", "aarch64"], help="with --file: the image's architecture")
        self.add_argument("--name", metavar="NAME", help="with --file: what takes the place of the package's name")
        self.add_argument("--region", metavar="REGION", help="where the AMI is made (the region of your role's setup)")
        self.add_argument("--ami-name", metavar="NAME", help="the AMI's name (the file's)")
        self.add_argument(
            "--tag",
            metavar="KEY=VALUE",
            type=tag,
            action="append",
            default=[],
            help="a tag for AMI and snapshot, any number of times",
        )
        for name, (values, help_text) in WISHES.items():
            option = name.replace("_", "-")
            metavar = None if values else option.upper().rpartition("-")[2]
            self.add_argument(f"--{option}", dest=name, choices=values, metavar=metavar, help=help_text)

    def act(self, args):
        api = self.api()
        if args.push:
            return self.pushed(api, args)
        if args.file or args.arch or args.name:
            self.parser.error("--file, --arch and --name are for an image that is sent from here: add --push")
        return self.made(api, args, api.create_job({**self.image(args)._asdict(), **self.wishes(args)}))

    def pushed(self, api, args):
        from . import push, sources

        if args.file is None:
            if args.arch or args.name:
                self.parser.error("--arch and --name are for a local image: add --file")
            image = self.image(args)
            source = sources.BuildResult(args.apiurl, image)
        else:
            if not (args.arch and args.name) or args.image:
                self.parser.error("an image of --file has --arch and --name, and nothing else is known of it")
            source = local_file(args.file)
            image = push.local_image(source, args.arch, args.name)
        with source:
            job = api.create_job({**image._asdict(), **self.wishes(args), "push": {"size": source.size}})
            job = push.push(api, job, source)
        return self.made(api, args, job)

    def wishes(self, args):
        names = ("region", "ami_name", *WISHES)
        wishes = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        return {**wishes, "tags": dict(args.tag)} if args.tag else wishes

    def image(self, args):
        from osc import oscerr
        from osc.commandline import pop_project_package_repository_arch_from_args

        from . import images

        words = list(args.image)
        try:
            project, package, repository, arch = pop_project_package_repository_arch_from_args(
                words, default_project=".", default_package=".", repository_is_optional=True, arch_is_optional=True
            )
        except oscerr.NoWorkingCopy:
            self.parser.error("name PROJECT and PACKAGE: this is no package's checkout, from which they would be known")
        if len(words) > 1 or (words and not arch):
            self.parser.error(f"too many arguments: {' '.join(words)}")
        if words:
            return images.Image(project, package, repository, arch, words[0])
        built = images.built(args.apiurl, project, package, repository, arch)
        return images.only(built, "/".join(filter(None, (project, package, repository, arch))))


def local_file(path):
    from .failure import Failure
    from .sources import LocalFile

    try:
        return LocalFile(path)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from None


class CloudUploadDeleteImage(Subcommand):
    """
    Delete the AMI of a job, and its snapshot

    Asks first, on a terminal. Elsewhere, it wants --yes. The role of the job has to allow it. An image that is
    gone already counts as deleted.
    """

    name = "delete-image"

    def init_arguments(self):
        super().init_arguments()
        self.add_job()
        self.add_argument("-y", "--yes", action="store_true", help="do not ask")

    def act(self, args):
        api = self.api()
        job = api.job(self.job_number(api, args))
        if job["ami"] and job["image_deleted"] is None:
            self.confirm(args, job)
        job = api.delete_image(job["id"])
        self.put(args, job, f"job {job['id']}: {job['ami']} and its snapshot are deleted")
        return 0

    def confirm(self, args, job):
        from osc import oscerr

        from . import terminal

        if args.yes:
            return
        if not terminal.is_there():
            self.parser.error("there is no terminal to ask on: --yes deletes without a question")
        if not terminal.confirms(f"Delete {job['ami']} ('{job['ami_name']}') in {job['region']}, and its snapshot?"):
            raise oscerr.UserAbort()


class CloudUploadKill(Subcommand):
    """
    Stop a job

    What it has made is removed. A job that has ended stays as it is.
    """

    name = "kill"

    def init_arguments(self):
        super().init_arguments()
        self.add_argument("job", metavar="JOB", type=int, help="the job's number")

    def act(self, args):
        job = self.api().kill(args.job)
        self.put(args, job, f"job {job['id']}: {job['state']}, {job['details']}")
        return 0


class CloudUploadList(Subcommand):
    """
    List your jobs, the newest first
    """

    name = "list"
    aliases = ["ls"]

    def init_arguments(self):
        super().init_arguments()
        self.add_argument("-n", "--limit", metavar="NUMBER", type=int, default=20, help="the most jobs to list (20)")

    def act(self, args):
        from . import text

        jobs = self.api().jobs(args.limit)
        self.put(args, jobs, text.jobs(jobs))
        return 0


class CloudUploadLog(Subcommand):
    """
    Print a job's log
    """

    name = "log"

    def init_arguments(self):
        self.name_parent()  # and no --json: a log is text
        self.add_job()
        self.add_argument("-f", "--follow", action="store_true", help="go on until the job ends")

    def act(self, args):
        from .progress import FINAL

        api = self.api()
        number, start = self.job_number(api, args), 0
        while True:
            # Looked up first: what a final job's log lacks now will not come.
            ended = not args.follow or api.job(number)["state"] in FINAL
            part = api.log(number, start, args.follow)
            if ended and not part:
                return 0
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
            start += len(part)


class CloudUploadPush(NewJob):
    """
    Go on with a push that was interrupted

    Sends what is missing of the image of a job that was made with 'osc cloudupload create --push'. The image is
    read again, from OBS or from FILE, and has to be the same as before.
    """

    name = "push"

    def init_arguments(self):
        super().init_arguments()
        self.add_job()
        self.add_argument("--file", metavar="FILE", help="the local image, if it was one")

    def act(self, args):
        from . import images, push, sources

        api = self.api()
        job = api.job(self.job_number(api, args))
        is_local = job["project"] == push.LOCAL
        if is_local and args.file is None:
            self.parser.error(f"name the image of job {job['id']}, which is none of OBS, with --file")
        image = images.Image(*(job[name] for name in images.Image._fields))
        with local_file(args.file) if args.file else sources.BuildResult(args.apiurl, image) as source:
            job = push.push(api, job, source)
        return self.made(api, args, job)


class CloudUploadRetry(NewJob):
    """
    Upload a job's image again

    Makes a new job with the image of another one and all that was wished of the AMI, and prints its number. It takes
    the role that is connected now.
    """

    name = "retry"

    def init_arguments(self):
        super().init_arguments()
        self.add_job()

    def act(self, args):
        api = self.api()
        return self.made(api, args, api.retry(self.job_number(api, args)))


class CloudUploadSetup(Subcommand):
    """
    Connect your AWS account

    Asks for the address of the cloud uploader and for your token, and keeps both as osc keeps passwords. Then
    three steps lead to a role in your AWS account: your external ID, the link by which the role is made, and the
    role's ARN. Last, it prints what the role may and may not.

    Run it again to try the role again, or to connect another one.
    """

    name = "setup"

    def init_arguments(self):
        super().init_arguments()
        self.add_argument("--url", metavar="URL", help="the address of the cloud uploader (that of oscrc)")
        self.add_argument("--role", metavar="ARN", help="the role to connect, without being asked")
        self.add_argument("--region", metavar="REGION", help="where your images go, unless a job says otherwise")

    def act(self, args):
        from . import guide, text
        from .api import Api

        api = Api(guide.signed_in(args.url))
        role = guide.connected_role(api, args.role, args.region)
        self.put(args, role, text.role(role))
        return 0 if role["usable"] else 1


class CloudUploadStatus(Subcommand):
    """
    Show a job
    """

    name = "status"

    def init_arguments(self):
        super().init_arguments()
        self.add_job()

    def act(self, args):
        from . import text

        api = self.api()
        job = api.job(self.job_number(api, args))
        self.put(args, job, text.job(job))
        return 0


class CloudUploadWatch(Subcommand):
    """
    Wait for a job's AMI

    Shows a bar on standard error until the job ends. Then the AMI's id alone is on standard output. The exit code is
    1 if the job failed.
    """

    name = "watch"

    def init_arguments(self):
        super().init_arguments()
        self.add_job()

    def act(self, args):
        api = self.api()
        return self.watch(api, args, self.job_number(api, args))


COMMANDS = (
    CloudUploadCommand,
    CloudUploadCreate,
    CloudUploadDeleteImage,
    CloudUploadKill,
    CloudUploadList,
    CloudUploadLog,
    CloudUploadPush,
    CloudUploadRetry,
    CloudUploadSetup,
    CloudUploadStatus,
    CloudUploadWatch,
)
"""osc loads classes by the order of their names, and the one that the others belong to is the first."""

loaded_by = None


def classes(module):
    """The commands as classes of the module that osc loads them from, by name.

    There are none if osc has them from another place already, where it would take them for a conflict, nor for what osc
    still loads in its old way, as functions.
    """
    global loaded_by
    if not module.startswith("osc.commands.") or loaded_by not in (None, module):
        return {}
    loaded_by = module
    return {
        command.__name__: type(command.__name__, (command,), {"__module__": module, "__doc__": getdoc(command)})
        for command in COMMANDS
    }
