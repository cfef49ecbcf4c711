// One job: how far it is, its log, its AMI, what it cost, and its end.

/** Seconds for which a finished job is looked at: its clean-up still writes into the log. */
const AFTERMATH = 90;

function jobView(id, _given, leaving) {
  const { content, parts } = copyOf("job-view");
  const log = new JobLog(id, parts.log);
  let last;
  parts.title.textContent = `Upload ${id}`;

  const show = (job) => {
    showJob(job, parts);
    if (last && last.state !== job.state) {
      announce(`Upload ${id} is ${job.state}. ${job.details}`);
    } else if (Math.floor((last?.progress ?? 0) / 25) < Math.floor((job.progress ?? 0) / 25)) {
      announce(`Upload ${id}: ${job.progress} percent`);
    }
    last = job;
  };
  const look = poll(() => shown(parts.problem, async () => {
    const before = last;
    const [job, grown] = await Promise.all([service.job(id), log.readOn()]);
    show(job);
    showText(parts.cost, log.cost());
    parts.ofCost.hidden = parts.cost.hidden;
    const changed = grown || before?.state !== job.state || before?.progress !== job.progress;
    if (isFinal(job) && !changed && Date.now() / 1000 > (job.ended ?? 0) + AFTERMATH) {
      return Look.END;
    }
    return changed ? Look.CHANGE : Look.SAME;
  }), leaving);
  parts.abort.addEventListener("click", () => attempt(parts.abort, parts.problem, async () => {
    const consequence = "What it has made in your account until now is removed.";
    if (await confirmed(`Abort upload ${id}?`, consequence, "Abort it", "Let it go on")) {
      show(await service.killJob(id));
      parts.title.focus();
      look();
    }
  }));
  parts.deletion.addEventListener("click", () => attempt(parts.deletion, parts.problem, async () => {
    const consequence = "The AMI is deregistered and its snapshot deleted in your account. Instances that run go on.";
    if (await confirmed(`Delete ${last.ami}?`, consequence, "Delete it", "Keep it")) {
      show(await service.deleteImage(id));
      announce(`The image of upload ${id} is deleted.`);
      parts.title.focus();
      look();
    }
  }));
  parts.retry.addEventListener("click", () => attempt(parts.retry, parts.problem, async () => {
    location.hash = `#/jobs/${(await service.retryJob(id)).id}`;
  }));
  return content;
}

function showJob(job, parts) {
  parts.found.hidden = false;
  showState(job, parts);
  showText(parts.percent, !isFinal(job) && job.progress !== null ? `${job.progress} %` : "");
  showText(parts.details, job.ami ? "" : job.details);
  parts.image.textContent = job.filename;
  parts.from.textContent = placeInObs(job);
  parts.created.textContent = when(job.created);
  const optional = {
    Size: job.size === null ? "" : bytes(job.size),
    Region: job.region,
    Name: job.ami_name,
    Ended: job.ended === null ? "" : when(job.ended),
  };
  for (const [name, text] of Object.entries(optional)) {
    showText(parts[name.toLowerCase()], text);
    parts[`of${name}`].hidden = !text;
  }
  parts.ofAmi.hidden = !job.ami;
  if (job.ami && parts.ami.textContent !== amiOf(job).textContent) {
    parts.ami.replaceChildren(amiOf(job));
  }
  parts.deletion.hidden = !job.ami || job.image_deleted !== null;
  parts.retry.hidden = job.state !== "failed";
  parts.abort.hidden = isFinal(job);
  parts.again.hidden = !isFinal(job);
  const { project, package: name, repository, arch, filename, region } = job;
  const given = new URLSearchParams({ project, package: name, repository, arch, filename, region: region ?? "" });
  parts.again.href = `#/upload?${given}`;
}

/** A job's log, as far as it was read. */
class JobLog {
  #decoder = new TextDecoder();
  #read = 0;

  constructor(id, element) {
    this.id = id;
    this.element = element;
  }

  /** Adds what the log has gained. Returns whether it has. */
  async readOn() {
    const part = await service.log(this.id, this.#read);
    if (part.length === 0) {
      return false;
    }
    this.#read += part.length;
    const { element } = this;
    const atEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 8;
    // A part may end within a character.
    element.append(this.#decoder.decode(part, { stream: true }));
    if (atEnd) {
      element.scrollTop = element.scrollHeight;
    }
    return true;
  }

  /** What the job cost, by the last line about it. */
  cost() {
    const lines = [...this.element.textContent.matchAll(/^Cost: (.+)$/gm)];
    return lines.at(-1)?.[1];
  }
}
