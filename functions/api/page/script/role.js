// The role in the user's account: how to make it, and what it allows.

const VERDICTS = {
  allowed: "allowed",
  unproven: "probably allowed: it cannot be tried without making something",
  denied: "not allowed",
  switched_off: "switched off by the operators of this service",
};

function roleView(_id, _given, leaving) {
  const { content, parts } = copyOf("role-view");
  const [arn, region] = ["arn", "role-region"].map((id) => content.getElementById(id));
  const heading = content.getElementById("connected-heading");

  const show = (role) => {
    if (leaving.aborted) {
      return;
    }
    showGuide(role, parts);
    showConnected(role, parts);
    arn.value = role.arn ?? arn.value;
    region.value = role.region ?? region.value;
    me.role = role.arn;
    me.region = role.region;
  };
  onSubmit(parts.form, parts.problem, async () => {
    announce("The role is being tried, which takes some seconds.");
    const role = await service.connectRole(arn.value.trim(), region.value.trim());
    show(role);
    announce(`The role is connected. ${parts.verdict.textContent}`);
    heading.focus();
  });
  parts.forget.addEventListener("click", () => attempt(parts.forget, parts.problem, async () => {
    const consequence = "New uploads need another one then. Uploads that are under way go on. The role stays in your account "
      + "until you delete its stack there.";
    if (await confirmed("Disconnect the role?", consequence, "Disconnect it", "Keep it")) {
      await service.forgetRole();
      show(await service.role());
      announce("The role is disconnected.");
      document.querySelector("h1").focus();
    }
  }));
  service.role().then(show).catch((refusal) => showProblem(parts.problem, refusal));
  return content;
}

function showGuide(role, parts) {
  const again = "Try the role again, or connect another one";
  parts.guideHeading.textContent = role.arn ? again : "Connect a role in three steps";
  parts.account.textContent = role.service_account;
  parts.externalId.textContent = role.external_id;
  const linked = role.quick_create_url?.startsWith("https://");
  parts.withLink.hidden = !linked;
  parts.withoutLink.hidden = linked;
  if (linked) {
    parts.link.href = role.quick_create_url;
  }
  offerCopy(parts.copyAccount, "The account", () => role.service_account);
  offerCopy(parts.copyExternalId, "The external ID", () => role.external_id);
}

function offerCopy(button, what, text) {
  button.hidden = !navigator.clipboard;
  button.onclick = async () => {
    await navigator.clipboard.writeText(text());
    announce(`${what} is copied.`);
  };
}

function showConnected(role, parts) {
  parts.connected.hidden = !role.arn;
  if (!role.arn) {
    return;
  }
  parts.arn.textContent = role.arn;
  parts.region.textContent = role.region;
  parts.tried.textContent = when(role.connected);
  parts.goOn.hidden = !role.usable;
  parts.verdict.className = role.usable ? "good" : "problem";
  parts.verdict.textContent = role.usable
    ? "Uploads can use this role."
    : "Uploads cannot use this role yet. Add the permissions that are missing, then try it again below.";
  const { missing, routes } = role.report;
  parts.missing.hidden = missing.length === 0;
  parts.actions.textContent = missing.join(", ");
  parts.routes.replaceChildren(...routes.map(routeRow));
}

function routeRow({ route, verdict, missing = [] }) {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = route;
  row.append(name);
  for (const text of [VERDICTS[verdict] ?? verdict, missing.join(", ") || "none"]) {
    row.insertCell().textContent = text;
  }
  return row;
}
