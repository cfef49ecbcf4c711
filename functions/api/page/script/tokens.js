// The user's tokens: for other programs and browsers, and to revoke those that are lost.

function tokensView(_id, _given, leaving) {
  const { content, parts } = copyOf("tokens-view");
  const [name, days] = ["token-name", "token-days"].map((id) => content.getElementById(id));

  const show = async () => {
    const tokens = await service.tokens();
    if (!leaving.aborted) {
      parts.rows.replaceChildren(...tokens.map((token) => tokenRow(token, parts.problem, show)));
    }
  };
  offerCopy(parts.copy, "The token", () => parts.secret.textContent);
  onSubmit(parts.form, parts.refused, async () => {
    const made = await service.createToken(name.value.trim(), /^\d{1,9}$/.test(days.value) ? Number(days.value) : undefined);
    if (leaving.aborted) {
      return;
    }
    parts.secret.textContent = made.token;
    parts.made.hidden = false;
    parts.made.focus();
    await show();
  });
  show().catch((refusal) => showProblem(parts.problem, refusal));
  return content;
}

function tokenRow(token, problem, show) {
  const { content, parts } = copyOf("token-row");
  const isThis = token.id === me.token.id;
  parts.name.textContent = token.name;
  showText(parts.here, isThis ? "used here" : "");
  const facts = [`made ${when(token.created)}`, token.used === null ? "never used" : `last used ${when(token.used)}`];
  parts.facts.textContent = [...facts, token.expires === null ? "does not expire" : `expires ${when(token.expires)}`].join(", ");
  parts.revoke.setAttribute("aria-label", `Revoke ${token.name}`);
  parts.revoke.addEventListener("click", () => attempt(parts.revoke, problem, async () => {
    const consequence = isThis ? "You are signed out." : "Whatever uses it is refused from now on.";
    if (await confirmed(`Revoke ${token.name}?`, consequence, "Revoke it", "Keep it")) {
      await service.removeToken(token.id);
      if (isThis) {
        signOut();
        return;
      }
      await show();
      announce(`${token.name} is revoked.`);
      document.querySelector("h1").focus();
    }
  }));
  return content;
}
