// Which view is shown: the part of the address behind the `#` says so, and never reaches the service.

const VIEWS = { jobs: jobsView, upload: uploadView, role: roleView, tokens: tokensView };

/** Ends what the current view has going on. */
let leave = new AbortController();

/** Shows the view of the address, or the way in. */
function showView(reason) {
  leave.abort();
  leave = new AbortController();
  const content = me ? viewOfAddress(leave.signal) : signInView(reason);
  const main = document.getElementById("main");
  main.replaceChildren(content);
  const heading = main.querySelector("h1");
  document.title = `${heading.textContent} – Cloud uploader`;
  for (const anchor of document.querySelectorAll("#menu a")) {
    const isHere = (location.hash || "#/jobs").startsWith(anchor.hash);
    isHere ? anchor.setAttribute("aria-current", "page") : anchor.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  // Who waits for the way in types a token next.
  (me ? heading : document.getElementById("token")).focus();
}

function viewOfAddress(leaving) {
  const [path, query] = location.hash.slice(1).split("?");
  const [, name, id] = path.split("/");
  if (name === "jobs" && /^[1-9]\d{0,9}$/.test(id ?? "")) {
    return jobView(Number(id), undefined, leaving);
  }
  const view = Object.hasOwn(VIEWS, name) ? VIEWS[name] : jobsView;
  return view(undefined, new URLSearchParams(query), leaving);
}

async function start() {
  window.addEventListener("hashchange", () => me && showView());
  document.getElementById("sign-out").addEventListener("click", () => signOut());
  document.getElementById("skip").addEventListener("click", (event) => {
    // The address is that of the view.
    event.preventDefault();
    document.getElementById("main").focus();
  });
  if (!sessionStorage.getItem(TOKEN)) {
    showView();
    return;
  }
  try {
    me = await service.me();
    signedIn();
  } catch (refusal) {
    // A token that may be good is kept for the next try.
    refusal.status === 401 ? signOut(refusal.message) : showView(refusal.message);
  }
}

start();
