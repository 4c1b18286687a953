// What the JavaScript drivers share: the plan, the digests of bytes, one JSON line per feature.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const PLAN = JSON.parse(readFileSync(process.env.CONFORMANCE_PLAN, "utf8"));
const features = {};

export const feature = (name, code) => (features[name] = code);
export const folder = () => mkdtempSync(join(PLAN.scratch, "js-"));
export const repo = (role) => ({ ...PLAN.repos[role], name: PLAN.repos[role].id });

export function same(got, want, what) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(want)}`);
}

// Compare bytes with file `path` of a repo: a digest of 64 digits is a sha256, one of 40 a git blob id.
export function check(told, path, bytes) {
  const data = Buffer.from(bytes);
  const want = told.files[path];
  same(data.length, want.size, `size of ${path}`);
  const hash = want.digest.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${data.length}\0`);
  same(hash.update(data).digest("hex"), want.digest, `digest of ${path}`);
}

export function weightsOf(told) {
  return Object.keys(told.files).find((path) => path.endsWith(".safetensors"));
}

export async function main(version) {
  const say = (line) => process.stdout.write(`\n${JSON.stringify(line)}\n`);
  say({ version });
  for (const name of PLAN.features) {
    try {
      if (!features[name]) throw new Error(`this driver has no code for ${name}`);
      const detail = await features[name]();
      say({ feature: name, ok: true, detail: detail ?? "" });
    } catch (error) {
      process.stderr.write(`${error.stack}\n`);
      say({ feature: name, ok: false, detail: `${error.name}: ${error.message}` });
    }
  }
  process.exit(0);
}
