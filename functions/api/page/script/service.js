// Calls of the service's JSON API, which docs/openapi.yaml describes.

/** What the token is called in the tab's session storage: the tab forgets it when it is closed. */
const TOKEN = "cloudupload-token";

/** Longer than the service takes for any answer. */
const CALL_TIMEOUT = 35_000;

/** What the service did not do. The message is its own sentence; the status is 0 where there was no answer. */
class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function send(method, path, body) {
  const token = sessionStorage.getItem(TOKEN) ?? "";
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new Refusal(401, "This is not a token: a token begins with cloudup_ and has no blanks.");
  }
  const headers = { Authorization: `Bearer ${token}` };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(`v1/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      // Else a browser would ask for a name and a password itself.
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(CALL_TIMEOUT),
    });
  } catch {
    throw new Refusal(0, "The service does not answer. Check your connection, then try again.");
  }
  if (!response.ok) {
    throw new Refusal(response.status, await sentence(response));
  }
  return response;
}

/** Why a call was refused: by the service (RFC 9457), or by API Gateway before it. */
async function sentence(response) {
  const problem = await response.json().catch(() => ({}));
  return problem.detail ?? problem.message ?? `The service answers ${response.status}. Try again in a minute.`;
}

async function read(path) {
  return (await send("GET", path)).json();
}

async function write(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? undefined : response.json();
}

function pathOf(...segments) {
  return segments.map(encodeURIComponent).join("/");
}

const service = {
  me: () => read("me"),
  role: () => read("me/role"),
  connectRole: (arn, region) => write("PUT", "me/role", { arn, region }),
  forgetRole: () => write("DELETE", "me/role"),
  tokens: async () => (await read("me/tokens")).tokens,
  createToken: (name, days) => write("POST", "me/tokens", { name, expires_in_days: days }),
  removeToken: (id) => write("DELETE", pathOf("me", "tokens", id)),
  projects: async () => (await read("projects")).projects,
  repositories: async (project) => (await read(pathOf("projects", project, "repositories"))).repositories,
  packages: async (project, repository, arch) => {
    const build = new URLSearchParams({ repository, arch });
    return (await read(`${pathOf("projects", project, "packages")}?${build}`)).packages;
  },
  images: async (project, name) => (await read(pathOf("projects", project, "packages", name, "images"))).images,
  jobs: (limit, before) => read(`jobs?limit=${limit}${before ? `&before=${before}` : ""}`),
  job: (id) => read(`jobs/${id}`),
  createJob: (upload) => write("POST", "jobs", upload),
  retryJob: (id) => write("POST", `jobs/${id}/retry`),
  deleteImage: (id) => write("DELETE", `jobs/${id}/image`),
  killJob: (id) => write("POST", `jobs/${id}/kill`),
  /** The bytes of a log from an offset on. */
  log: async (id, start) => new Uint8Array(await (await send("GET", `jobs/${id}/log?start=${start}`)).arrayBuffer()),
};
