// The list of the user's jobs.

/** Jobs on a page, and the most that the service lists at once. */
const PAGE = 20;
const MOST = 100;

function jobsView(_id, _given, leaving) {
  const { content, parts } = copyOf("jobs-view");
  const rows = new Map();
  let next = null;

  const show = (jobs) => {
    let changed = false;
    for (const job of jobs) {
      changed = showRow(job, rows, parts.rows) || changed;
    }
    parts.none.hidden = rows.size > 0;
    parts.more.hidden = next === null;
    return changed;
  };
  poll(() => shown(parts.problem, async () => {
    const limit = Math.min(Math.max(PAGE, rows.size), MOST);
    const { jobs, next: older } = await service.jobs(limit);
    // What was shown beyond this page has its own end.
    next = rows.size > limit ? next : older;
    const changed = show(jobs);
    if (jobs.every(isFinal)) {
      return Look.IDLE;
    }
    return changed ? Look.CHANGE : Look.SAME;
  }), leaving);
  parts.more.addEventListener("click", () => attempt(parts.more, parts.problem, async () => {
    const page = await service.jobs(PAGE, next);
    next = page.next;
    show(page.jobs);
    rows.get(page.jobs[0]?.id)?.parts.link.focus();
  }));
  return content;
}

/** Shows a job in the list, which is ordered by number, the newest first. Returns whether there was news. */
function showRow(job, rows, list) {
  const known = rows.get(job.id);
  const { row, parts } = known ?? newRow(job, rows, list);
  const changed = !known || known.job.state !== job.state || known.job.progress !== job.progress
    || known.job.image_deleted !== job.image_deleted;
  if (known && known.job.state !== job.state) {
    announce(`Upload ${job.id} is ${job.state}.`);
  }
  rows.set(job.id, { job, row, parts });
  if (changed) {
    showState(job, parts);
    parts.result.replaceChildren(job.ami ? amiOf(job) : document.createTextNode(job.details));
  }
  return changed;
}

function newRow(job, rows, list) {
  const { content, parts } = copyOf("job-row");
  const row = content.firstElementChild;
  parts.link.href = `#/jobs/${job.id}`;
  parts.link.textContent = `${job.id}: ${job.filename}`;
  parts.from.textContent = placeInObs(job);
  parts.created.textContent = when(job.created);
  parts.progress.setAttribute("aria-label", `Progress of upload ${job.id}`);
  const after = [...rows.values()].filter((other) => other.job.id < job.id).sort((a, b) => b.job.id - a.job.id)[0];
  list.insertBefore(row, after?.row ?? null);
  return { row, parts };
}
