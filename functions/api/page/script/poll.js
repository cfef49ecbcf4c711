// Looks at what changes, without a look too many: each costs the service some calls.

/** Milliseconds until the next look: after a change, at most, and where nothing is going on. */
const SOON = 2_000;
const LATE = 15_000;
const IDLE = 60_000;

/** What a look has found. */
const Look = Object.freeze({ CHANGE: "change", SAME: "same", IDLE: "idle", REFUSED: "refused", END: "end" });

/**
 * Looks now, and again until a look finds the end or the view is left. Where nothing changes, the looks become rarer. While
 * nobody sees the tab, there are none. Returns a function that looks at once.
 */
function poll(look, leaving) {
  let pause = SOON;
  let timer;
  let looking = false;
  let over = false;

  async function turn() {
    clearTimeout(timer);
    if (looking || over || leaving.aborted || document.hidden) {
      return;
    }
    looking = true;
    const found = await look().finally(() => {
      looking = false;
    });
    over = found === Look.END;
    pause = {
      [Look.CHANGE]: SOON,
      [Look.SAME]: Math.min(pause * 1.5, LATE),
      [Look.REFUSED]: Math.min(pause * 2, IDLE),
      [Look.IDLE]: IDLE,
    }[found];
    if (!over && !leaving.aborted && !document.hidden) {
      timer = setTimeout(turn, pause);
    }
  }

  document.addEventListener("visibilitychange", turn, { signal: leaving });
  leaving.addEventListener("abort", () => clearTimeout(timer));
  turn();
  return turn;
}

/** A look that shows why it was refused. */
async function shown(problem, look) {
  try {
    const found = await look();
    showText(problem, "");
    return found;
  } catch (refusal) {
    showProblem(problem, refusal);
    // What is not there does not come.
    return refusal.status === 404 ? Look.END : Look.REFUSED;
  }
}
