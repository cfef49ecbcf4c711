// What OBS has to upload, offered field by field. Whoever knows better may type anything.

/** Offers values for each field, as far as the fields that they depend on are filled in. */
function offerWhatObsHas(content, parts) {
  const field = (id) => content.getElementById(id);
  const [project, repository, arch, name, filename] = ["project", "repository", "arch", "package", "filename"].map(field);

  offer(field("projects"), parts.offers, [], () => service.projects());
  offer(field("repositories"), parts.offers, [project], async (projectName) => {
    const found = await service.repositories(projectName);
    fillIfAlone(repository, found.map((one) => one.name));
    return found.map((one) => ({ value: one.name, label: one.archs.join(", ") }));
  });
  offer(field("packages"), parts.offers, [project, repository, arch], (...names) => service.packages(...names));
  offer(field("filenames"), parts.offers, [project, name, repository, arch], async (projectName, packageName, ...build) => {
    const images = await service.images(projectName, packageName);
    const fitting = images.filter((image) => image.repository === build[0] && image.arch === build[1]);
    return fitting.map((image) => ({ value: image.filename, label: bytes(image.size) }));
  });
}

/** Fills in what cannot be anything else. Whoever is about to type into the field types over it. */
function fillIfAlone(field, values) {
  if (values.length === 1 && !field.value) {
    [field.value] = values;
    if (field === document.activeElement) {
      field.select();
    }
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

/** Keeps a list of suggestions as `read` has it for the values of some fields. */
function offer(list, problem, fields, read) {
  let asked;
  const renew = async () => {
    const values = fields.map((field) => field.value.trim());
    const question = values.join("\n");
    if (question === asked) {
      return;
    }
    asked = question;
    list.replaceChildren();
    if (!values.every(Boolean)) {
      return;
    }
    try {
      const found = await read(...values);
      // An answer to a later question may have come before.
      if (question === asked) {
        list.replaceChildren(...found.map(suggestion));
        showText(problem, "");
      }
    } catch (refusal) {
      if (question === asked) {
        showProblem(problem, refusal);
      }
    }
  };
  for (const field of fields) {
    field.addEventListener("change", renew);
  }
  renew();
}

/** A suggestion: a value, or one with a label. */
function suggestion(found) {
  const { value, label } = typeof found === "string" ? { value: found } : found;
  const option = document.createElement("option");
  option.value = value;
  if (label) {
    option.label = label;
  }
  return option;
}
