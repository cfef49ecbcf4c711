"""The demo, from build result to AMI."""

import argparse
import os
import subprocess
import sys
import time

import demo
from common import settings, uploads
from common.failure import Failure
from common.paths import LOCAL, TARGET, shown
from common.units import MIB
from demo import ami
from demo.curl import curl
from demo.job import Job
from demo.terminal import heading, indented, show

FOLDER = TARGET / "local"
BUILD = uploads.build_result("leap-ec2")
FILE = "leap-ec2.x86_64-15.6.raw.xz"


def read_settings():
    return dict(os.environ) if "CLOUDUPLOAD_URL" in os.environ else settings.environment(FOLDER / "env", os.environ)


def build_image(env):
    """Has OBS build an image. Returns the disk that is in it."""
    heading("OBS has built an image")
    disks = FOLDER / "disk"
    packed, raw = disks / FILE, disks / FILE.removesuffix(".xz")
    if subprocess.run([LOCAL / "make-disk", shown(packed), "--raw", shown(raw)], check=False).returncode != 0:
        raise Failure("make-disk made no disk")
    uploads.publish(env, BUILD, packed, FILE)
    print(f"  build result  {'/'.join(BUILD.values())}/{FILE}")
    print(f"  disk          {raw.stat().st_size / MIB:.0f} MiB, {packed.stat().st_size / MIB:.0f} MiB as .raw.xz")
    return raw


def upload(env, role, wishes):
    """Uploads the image and follows its job to the end. Returns the job."""
    # An AMI name is given once in an account and region.
    name = time.strftime("leap-ec2 15.6 %Y-%m-%d %H.%M.%S")
    url, body = uploads.create_request({**env, "USER_ROLE_ARN": role}, BUILD, FILE, name, **wishes)
    created = curl("-X", "POST", url, "--data-binary", body, shown=True)
    indented(created)
    job = Job(uploads.job_url(env, uploads.job_number(created)))
    show(["curl", "-sS", job.url])
    show(["curl", "-sS", f"{job.url}/_log?nostream=1&start=0"])
    job.follow()
    if job.fields["state"] != "succeeded":
        raise Failure(f"the job failed: {job.fields.get('details')}\nIts log stands above.")
    if f"Created image: {job.fields.get('details', '')}" not in job.log or "Upload took: " not in job.log:
        raise Failure("the log lacks what clients look for: Created image, Upload took")
    return job


def upload_and_compare(env, raw, title, role, **wishes):
    """Uploads the image, and shows that the AMI's bytes are those of the disk. Returns the job."""
    heading(title)
    job = upload(env, role, wishes)
    heading("The user's account has an AMI")
    ami.describe(env, job.fields["details"])
    heading("Its bytes are those of the disk")
    ami.compare(env, job.fields["details"], raw)
    return job


def summarize(jobs, raw):
    heading("Done")
    for title, job in jobs.items():
        took = job.states["succeeded"]
        rate = raw.stat().st_size / MIB / took
        line = f"  {title:<7} {took:5.1f} s from the call to the AMI, {rate:.0f} MiB of disk a second"
        if "uploading" in job.states:
            received = job.states["uploading"]
            line += f"; {received:.1f} s to receive the file from OBS, {took - received:.1f} s to bring it into EC2"
        print(line)


def run():
    env = read_settings()
    raw = build_image(env)
    role, old_role = env["USER_ROLE_ARN"], env["USER_EC2_ROLE_ARN"]
    jobs = {
        "direct": upload_and_compare(env, raw, "Its user uploads it to EC2", role),
        # Nobody names the route: the role allows no other.
        "copy": upload_and_compare(env, raw, "A user whose role allows ec2:* and no more uploads it", old_role),
        "import": upload_and_compare(env, raw, "By VM Import, as before", role, route="import"),
    }
    summarize(jobs, raw)


def main():
    argparse.ArgumentParser(
        prog="demo", description=demo.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    try:
        run()
    except KeyError as missing:
        sys.exit(f"demo: {shown(FOLDER / 'env')} does not set {missing}")
    except Failure as failure:
        sys.exit(f"\ndemo: {failure}\n\nThe logs of the stack are below {shown(FOLDER)}/.")


if __name__ == "__main__":
    main()
