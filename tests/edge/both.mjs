// Two real servers for a file of tests, and an edge before them.

import { request as httpRequest } from "node:http";
import { after, before } from "node:test";

import { edge, form, origin, origins, sample, until } from "./stand.mjs";

export const FAST = { speed_requirement: "high" };

/** The servers. */
export let a, b;
before(async () => {
  [a, b] = await Promise.all([origin(), origin()]);
});
after(() => Promise.all([a, b].map((server) => server?.kill())));

/** Both servers behind an edge without keys. */
export async function before_both(vars = {}, more = {}) {
  return edge({
    vars: { AUTH: "open", RATE: "0", CACHE_TIME: "0", ORIGINS: origins(["a", a.base], ["b", b.base]), ...vars },
    ...more,
  });
}

/** Everything of a job that is over. */
export async function over(url, headers = {}) {
  return until(async () => {
    const job = await (await fetch(url, { headers })).json();
    return job.state === "done" && job;
  }, "the job to be done");
}

/** A batch of samples. */
export function pictures(...names) {
  const body = new FormData();
  body.append("requirements", JSON.stringify(FAST));
  for (const name of names) body.append("image", new Blob([sample(name)]), name);
  return body;
}

export async function recognize(base, picture, requirements = undefined, options = {}) {
  const response = await fetch(`${base}/api/ocr/recognize`, {
    method: "POST",
    body: form(picture, requirements),
    ...options,
  });
  const body = await response.json();
  const { headers, status } = response;
  return { status, body, headers, route: headers.get("x-maoocr-route"), cache: headers.get("x-maoocr-cache") };
}

/** Begins to send a large picture; `rest` sends the rest, and gives the answer. */
export function begin(url, picture, path = "/api/ocr/recognize", headers = {}) {
  const sent = httpRequest(url + path, {
    method: "POST",
    headers: { "content-type": "image/png", "content-length": picture.length, ...headers },
  });
  const answered = new Promise((resolve, reject) => {
    sent.on("response", async (response) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      const body = JSON.parse(String(Buffer.concat(chunks)));
      resolve({ status: response.statusCode, route: response.headers["x-maoocr-route"], body });
    });
    sent.on("error", reject);
  });
  answered.catch(() => {});
  const half = picture.length >> 1;
  sent.write(picture.subarray(0, half));
  return {
    rest() {
      sent.end(picture.subarray(half));
      return answered;
    },
    cut: () => sent.destroy(),
  };
}
