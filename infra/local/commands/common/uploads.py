"""A client of the cloud uploader, and what OBS has for it to upload. `env` are the settings of the stack."""

import json
import os
import urllib.parse
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from common.loopback import fetch

FINAL_STATES = ("succeeded", "failed")


def build_result(package):
    """The parameters that name a build of a package, in the order of its path in OBS."""
    return {"project": "Cloud:Images", "repository": "images", "arch": "x86_64", "package": package}


def publish(env, build, file, name):
    """Makes a file a build result of the stand-in for OBS, in place of an earlier one. Returns its path there."""
    result = Path(env["OBS_ROOT"], *build.values(), name)
    result.parent.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    os.link(file, result)
    return result


def create_request(env, build, name, ami_name, **wishes):
    """(URL, body) of the POST by which the user tom asks for an upload."""
    query = urllib.parse.urlencode({**build, "filename": name, "user": "tom", "target": "ec2"}, safe=":")
    body = {
        "arn": env["USER_ROLE_ARN"],
        "external_id": env["USER_EXTERNAL_ID"],
        "region": env["USER_REGION"],
        "ami_name": ami_name,
        **wishes,
    }
    return f"{env['CLOUDUPLOAD_URL'].rstrip('/')}/cloudupload?{query}", json.dumps(body)


def job_url(env, job):
    return f"{env['CLOUDUPLOAD_URL'].rstrip('/')}/cloudupload/{job}"


def job_number(xml):
    return ElementTree.fromstring(xml).get("name")


def job_fields(xml):
    return {child.tag: child.text or "" for child in ElementTree.fromstring(xml)}


def create(env, build, name, ami_name, **wishes):
    """Asks for an upload. Returns the job's number."""
    url, body = create_request(env, build, name, ami_name, **wishes)
    return job_number(fetch(url, body.encode()))


def submit_refused(env, build, name):
    """Asks for an upload into a cloud that is not there, as OBS's source server asks. Returns the number of the job,
    which has failed as it was created."""
    fields = {"user": "tom", "target": "azure", **build, "filename": name, "size": "1", "details": b"{}".hex()}
    skeleton = ElementTree.Element("clouduploadjob")
    for tag, text in fields.items():
        ElementTree.SubElement(skeleton, tag).text = text
    url = f"{env['CLOUDUPLOAD_URL'].rstrip('/')}/cloudupload"
    return job_number(fetch(url, ElementTree.tostring(skeleton), {"Content-Type": "text/xml"}))


def listed(env):
    """The numbers of all jobs."""
    jobs = ElementTree.fromstring(fetch(f"{env['CLOUDUPLOAD_URL'].rstrip('/')}/cloudupload"))
    return [job.get("name") for job in jobs.iterfind("clouduploadjob")]


def status_xml(env, job):
    return fetch(job_url(env, job))


def status(env, job):
    return job_fields(status_xml(env, job))


def log(env, job):
    return fetch(f"{job_url(env, job)}/_log?nostream=1&start=0").decode(errors="replace")


def kill(env, job):
    fetch(f"{job_url(env, job)}?cmd=kill", b"")
