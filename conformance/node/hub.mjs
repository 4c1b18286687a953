// `@huggingface/hub`, pointed at the registry by `hubUrl`.
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import * as hub from "@huggingface/hub";
import { PLAN, check, feature, folder, main, repo, same, weightsOf } from "./steps.mjs";

// It throws away a token that does not begin with hf_: a gateway token may wear that prefix.
const token = PLAN.token.startsWith("mgw_") ? `hf_${PLAN.token}` : PLAN.token;
const at = { hubUrl: PLAN.endpoint, ...(token ? { accessToken: token } : {}) };
const asked = (told) => ({ type: told.type, name: told.id });
const fetched = async (told, path, more = {}) => {
  const blob = await hub.downloadFile({ repo: asked(told), path, ...at, ...more });
  if (blob === null) throw new Error(`downloadFile gave null for ${path}`);
  return blob.arrayBuffer();
};
const all = async (entries) => {
  const found = [];
  for await (const entry of entries) found.push(entry);
  return found;
};
const failure = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};

feature("download-file", async () => {
  const model = repo("model");
  for (const path of ["config.json", weightsOf(model)]) check(model, path, await fetched(model, path));
  const part = await hub.downloadFile({ repo: asked(model), path: weightsOf(model), ...at });
  same((await part.slice(8, 40).arrayBuffer()).byteLength, 32, "bytes of a slice");
});
feature("snapshot", async () => {
  const model = repo("model");
  const place = await hub.snapshotDownload({ repo: asked(model), cacheDir: folder(), ...at });
  for (const path of Object.keys(model.files)) check(model, path, readFileSync(realpathSync(join(place, path))));
});
feature("revisions", async () => {
  const told = repo("revisions");
  for (const [revision, file] of Object.entries(told.named)) {
    check({ ...told, files: { [told.path]: file } }, told.path, await fetched(told, told.path, { revision }));
  }
});
feature("revision-pull", async () => {
  const told = repo("pull");
  for (const path of Object.keys(told.files).slice(0, 1)) {
    check(told, path, await fetched(told, path, { revision: told.revision }));
  }
});
feature("names", async () => {
  const told = repo("unusual");
  for (const path of Object.keys(told.files)) {
    if (told.files[path].size) check(told, path, await fetched(told, path));
  }
});
feature("empty-file", async () => {
  const told = repo("unusual");
  for (const path of Object.keys(told.files)) {
    if (!told.files[path].size) check(told, path, await fetched(told, path));
  }
});
feature("renamed", async () => {
  const told = repo("renamed");
  check(told, weightsOf(told), await fetched({ ...told, id: told.former }, weightsOf(told)));
});
feature("model-info", async () => {
  const model = repo("model");
  const info = await hub.modelInfo({ name: model.id, additionalFields: ["sha", "siblings", "tags"], ...at });
  same(info.name, model.id, "name");
  same(info.sha, model.commit, "commit");
  same(info.siblings.map((file) => file.rfilename).sort(), Object.keys(model.files).sort(), "siblings");
});
feature("dataset-info", async () => {
  const told = repo("csv");
  same((await hub.datasetInfo({ name: told.id, additionalFields: ["sha"], ...at })).sha, told.commit, "commit");
});
feature("list-files", async () => {
  const model = repo("model");
  const found = await all(hub.listFiles({ repo: asked(model), recursive: true, ...at }));
  const files = found.filter((entry) => entry.type === "file");
  same(files.map((file) => file.path).sort(), Object.keys(model.files).sort(), "paths");
  for (const file of files) {
    same(file.size, model.files[file.path].size, `size of ${file.path}`);
    same((file.lfs ?? file).oid, model.files[file.path].digest, `digest of ${file.path}`);
    if (file.xetHash && PLAN.kind === "gateway") throw new Error("a Xet hash is listed");
  }
});
feature("many-files", async () => {
  const told = repo("many");
  const found = await all(hub.listFiles({ repo: asked(told), recursive: true, ...at }));
  same(found.filter((entry) => entry.type === "file").length, Object.keys(told.files).length, "files");
});
feature("paths-info", async () => {
  const model = repo("model");
  const [entry] = await hub.pathsInfo({ repo: asked(model), paths: [weightsOf(model)], expand: true, ...at });
  same(entry.lfs.oid, model.files[weightsOf(model)].digest, "digest");
});
feature("commits", async () => {
  const told = repo("revisions");
  const found = await all(hub.listCommits({ repo: asked(told), ...at }));
  same(found[0].oid, told.commit, "the newest");
});
feature("search", async () => {
  const model = repo("model");
  const [owner, name] = model.id.split("/");
  const found = await all(hub.listModels({ search: { owner, query: name }, ...at }));
  if (!found.some((row) => row.name === model.id)) throw new Error(`${model.id} is not among ${found.length} rows`);
});
feature("exists", async () => {
  const model = repo("model");
  same(await hub.repoExists({ repo: asked(model), ...at }), true, "the repo");
  same(await hub.fileExists({ repo: asked(model), path: weightsOf(model), ...at }), true, "a file");
  same(await hub.fileExists({ repo: asked(model), path: "missing.txt", ...at }), false, "a missing file");
});
feature("safetensors-metadata", async () => {
  for (const role of ["model", "sharded"]) {
    const told = repo(role);
    const found = await hub.parseSafetensorsMetadata({ repo: asked(told), computeParametersCount: true, ...at });
    same(found.sharded, role === "sharded", "sharded");
    if (!Object.keys(found.parameterCount).length) throw new Error("no parameters were counted");
  }
});
feature("missing", async () => {
  const model = repo("model");
  same(await hub.downloadFile({ repo: asked(model), path: "missing.txt", ...at }), null, "a missing file");
  const error = await failure(hub.modelInfo({ name: "conformance/nothing-of-that-name", ...at }));
  if (!/not found|404|Invalid username/i.test(error.message)) throw error;
});

const version = JSON.parse(readFileSync(new URL("node_modules/@huggingface/hub/package.json", import.meta.url))).version;
await main(`@huggingface/hub ${version} (Node ${process.versions.node})`);
