// The form of an upload.

function uploadView(_id, given) {
  const { content, parts } = copyOf("upload-view");
  const fields = [...content.querySelectorAll("[data-key]")];
  for (const field of fields) {
    field.value = given.get(field.dataset.key) ?? field.value;
  }
  offerWhatObsHas(content, parts);
  parts.noRole.hidden = Boolean(me.role);
  parts.defaultRegion.textContent = me.region ?? "that of your role";
  onSubmit(parts.form, parts.problem, async () => {
    const job = await service.createJob(uploadOf(fields));
    announce(`Upload ${job.id} is created.`);
    location.hash = `#/jobs/${job.id}`;
  });
  return content;
}

/** The body of the call. Fields that are left empty are left out. */
function uploadOf(fields) {
  const upload = {};
  for (const field of fields) {
    const value = valueOf(field);
    if (value !== undefined) {
      upload[field.dataset.key] = value;
    }
  }
  return upload;
}

function valueOf(field) {
  const text = field.value.trim();
  switch (field.dataset.as) {
    case "check":
      return field.checked || undefined;
    case "tpm":
      return field.checked ? "v2.0" : undefined;
    case "number":
      // Anything else goes as it is, for the service to say what is wrong with it.
      return /^\d{1,9}$/.test(text) ? Number(text) : text || undefined;
    case "tags":
      return text ? tagsOf(text) : undefined;
    default:
      return text || undefined;
  }
}

function tagsOf(text) {
  // Without a prototype: `__proto__` is a key like any other.
  const tags = Object.create(null);
  for (const line of text.split("\n").map((line) => line.trim()).filter(Boolean)) {
    const [key, ...value] = line.split("=");
    if (value.length === 0) {
      throw new Refusal(400, `The tag '${line}' has no value: write it as ${line}=value, or as ${line}= for an empty one.`);
    }
    tags[key.trim()] = value.join("=").trim();
  }
  return tags;
}
