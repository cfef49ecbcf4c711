// The way in.

/** The user who is signed in, as the service knows them. */
let me;

function signInView(reason) {
  const { content, parts } = copyOf("sign-in-view");
  const input = content.getElementById("token");
  showText(parts.problem, reason);
  onSubmit(parts.form, parts.problem, async () => {
    sessionStorage.setItem(TOKEN, input.value.trim());
    try {
      me = await service.me();
    } catch (refusal) {
      sessionStorage.removeItem(TOKEN);
      input.setAttribute("aria-invalid", "true");
      input.focus();
      // Here, a wrong token is no reason to sign out.
      throw refusal instanceof Refusal ? new Refusal(0, refusal.message) : refusal;
    }
    signedIn();
  });
  return content;
}

function signedIn() {
  showFrame();
  if (!me.role && location.hash !== "#/role") {
    location.hash = "#/role";
  } else {
    showView();
  }
}

function signOut(reason) {
  sessionStorage.removeItem(TOKEN);
  me = undefined;
  showFrame();
  showView(reason);
}

/** What is around the views: only for who is signed in. */
function showFrame() {
  document.getElementById("menu").hidden = !me;
  document.getElementById("who").hidden = !me;
  document.getElementById("user").textContent = me?.name ?? "";
}
