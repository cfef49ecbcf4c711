// Elements of the page. Text becomes part of it as text only.

/** A copy of a template, with its parts by their names: `data-no-role` is `noRole`. */
function copyOf(template) {
  const content = document.getElementById(template).content.cloneNode(true);
  const parts = {};
  for (const element of content.querySelectorAll("*")) {
    for (const name of Object.keys(element.dataset)) {
      parts[name] ??= element;
    }
  }
  return { content, parts };
}

/** Shows a text in a part, or hides the part where there is none. */
function showText(part, text) {
  if (part.textContent !== text) {
    part.textContent = text ?? "";
  }
  part.hidden = !text;
}

/** A link to another site, which learns nothing of this page. */
function outsideLink(href, text) {
  const anchor = document.createElement("a");
  anchor.href = href;
  anchor.textContent = text;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer";
  return anchor;
}

/** Tells a screen reader what has changed. */
function announce(text) {
  document.getElementById("news").textContent = text;
}

/** Does something that a button or a form is for, once at a time, and shows why it was refused. */
async function attempt(control, problem, deed) {
  if (control.getAttribute("aria-disabled") === "true") {
    return;
  }
  // Not `disabled`, which takes the focus away.
  control.setAttribute("aria-disabled", "true");
  showText(problem, "");
  try {
    await deed();
  } catch (refusal) {
    showProblem(problem, refusal);
  } finally {
    control.removeAttribute("aria-disabled");
  }
}

/** Shows a refusal. Without a good token, there is nothing more to do here. */
function showProblem(problem, refusal) {
  if (!(refusal instanceof Refusal)) {
    throw refusal;
  }
  if (refusal.status === 401) {
    signOut(refusal.message);
  } else {
    showText(problem, refusal.message);
  }
}

/** Calls `deed` when a form is sent. */
function onSubmit(form, problem, deed) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form.querySelector("[type=submit]"), problem, deed);
  });
}

/** Asks a question, with the harmless answer first. */
function confirmed(question, consequence, accept, decline) {
  const dialog = document.getElementById("confirm");
  const texts = { question, consequence, accept, decline };
  for (const [id, text] of Object.entries(texts)) {
    document.getElementById(id).textContent = text;
  }
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}
