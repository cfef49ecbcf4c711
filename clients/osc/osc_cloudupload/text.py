"""Tables and jobs for people."""

import time


def table(rows):
    """Lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def jobs(jobs):
    header = ("JOB", "STATE", "CREATED", "REGION", "IMAGE", "RESULT")
    return table([header, *map(row, jobs)])


def row(job):
    percent = job["progress"] if job["ami"] is None and job["state"] != "failed" else None
    state = job["state"] if percent is None else f"{job['state']} {percent}%"
    image = f"{job['project']}/{job['package']}/{job['filename']}"
    result = job["details"] if job["state"] in ("succeeded", "failed") else ""
    if job["image_deleted"] is not None:
        result += " (deleted)"
    return str(job["id"]), state, moment(job["created"]), job["region"] or "", image, result


def job(job):
    times = {name: moment(job[name]) for name in ("created", "ended", "image_deleted") if job[name] is not None}
    return table([(f"{name}:", str(value)) for name, value in {**job, **times}.items() if value is not None])


VERDICTS = {
    "allowed": "yes",
    "unproven": "perhaps: it cannot be tried without making something",
    "denied": "no",
    "switched_off": "no: the operators of the cloud uploader have switched it off",
}


def role(role):
    """The role that is connected, and what it may and may not."""
    if role["arn"] is None:
        return "No role is connected."
    report = role["report"]
    routes = [
        (route["route"], VERDICTS.get(route["verdict"], route["verdict"]), ", ".join(route.get("missing", [])))
        for route in report["routes"]
    ]
    lines = [
        f"Connected: {role['arn']}, for images in {role['region']}",
        "",
        table([("ROUTE", "MAY", "LACKS"), *routes]),
    ]
    if report["missing"]:
        lines += ["", f"Every upload needs what the role lacks: {', '.join(report['missing'])}"]
    lines += [
        "",
        "Uploads can succeed."
        if role["usable"]
        else "Uploads fail until the role may more. Add it, and run 'osc cloudupload setup' again.",
    ]
    return "\n".join(lines)


def moment(timestamp):
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(timestamp))
