// How things are written.

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function when(seconds) {
  return WHEN.format(new Date(seconds * 1000));
}

function bytes(count) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = count > 0 ? Math.min(Math.floor(Math.log2(count) / 10), units.length - 1) : 0;
  const number = count / 1024 ** power;
  return `${power && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[power]}`;
}

/** Where an image lies in OBS. */
function placeInObs(job) {
  return `${job.project} / ${job.package}, ${job.repository} ${job.arch}`;
}

function isFinal(job) {
  return job.state === "succeeded" || job.state === "failed";
}

/** An AMI's page in the EC2 console of its region, in the domain of the region's partition. */
function consoleLink(region, ami) {
  const name = `Open ${ami} in the EC2 console of ${region}`;
  if (!/^ami-[0-9a-f]+$/.test(ami) || !/^[a-z]+(-[a-z0-9]+)+$/.test(region)) {
    return document.createTextNode(ami);
  }
  const domains = {
    "cn": "console.amazonaws.cn",
    "eusc": "console.amazonaws-eusc.eu",
    "us-gov": "console.amazonaws-us-gov.com",
  };
  const partition = Object.keys(domains).find((prefix) => region.startsWith(`${prefix}-`));
  const domain = domains[partition] ?? "console.aws.amazon.com";
  const anchor = outsideLink(`https://${region}.${domain}/ec2/home?region=${region}#ImageDetails:imageId=${ami}`, ami);
  anchor.setAttribute("aria-label", name);
  return anchor;
}

/** The AMI of a job, with a link to it for as long as it is there. */
function amiOf(job) {
  return job.image_deleted === null
    ? consoleLink(job.region ?? "", job.ami)
    : document.createTextNode(`${job.ami}, deleted ${when(job.image_deleted)}`);
}

/** Shows a job's state and its progress. A job that waits has none. */
function showState(job, parts) {
  parts.state.textContent = job.state;
  parts.state.className = `state ${job.state}`;
  parts.progress.hidden = job.state !== "receiving" && job.state !== "uploading";
  if (job.progress === null) {
    parts.progress.removeAttribute("value");
  } else {
    parts.progress.value = job.progress;
  }
}
