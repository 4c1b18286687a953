// Asks the JavaScript clients for what is refused, and says what their user reads: the protocol of drivers/refusals.py.
import { readdirSync, statSync, existsSync } from "node:fs";
import { join, basename } from "node:path";
import { createInterface } from "node:readline";

const endpoint = process.env.HF_ENDPOINT;
const library = process.argv[2];
const operations = {};
const say = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr); // what a library prints is not an answer

if (library === "hub") {
  const hub = await import("@huggingface/hub");
  const worn = (token) => (token.startsWith("mgw_") ? `hf_${token}` : token); // see docs/clients.md
  const params = (ask) => ({ hubUrl: endpoint, ...(ask.token ? { accessToken: worn(ask.token) } : {}) });
  const repo = (ask) =>
    ask.repo.startsWith("datasets/") ? { type: "dataset", name: ask.repo.slice(9) } : { type: "model", name: ask.repo };
  operations.file = async (ask) => {
    const blob = await hub.downloadFile({ repo: repo(ask), path: ask.path, ...params(ask) });
    if (blob === null) throw new Error("downloadFile gave null");
    await blob.arrayBuffer();
  };
  operations.snapshot = (ask) => hub.snapshotDownload({ repo: repo(ask), cacheDir: ask.cache, ...params(ask) });
} else {
  const { env, AutoConfig, AutoTokenizer, AutoModel } = await import("@huggingface/transformers");
  env.remoteHost = `${endpoint}/`;
  env.allowLocalModels = false;
  env.logLevel = 40;
  const load = (kind) => (ask) => {
    env.cacheDir = ask.cache;
    return kind.from_pretrained(ask.repo, { dtype: "fp32" });
  };
  operations.config = load(AutoConfig);
  operations.tokenizer = load(AutoTokenizer);
  operations.model = load(AutoModel);
}

// Links count, what they point to in blobs/ does not: the file that a load would find.
function installed(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => !/(^|\/)(refs|blobs|trees|\.no_exist|\.locks)\//.test(path) && existsSync(path))
    .filter((path) => statSync(path).isFile() && !path.endsWith(".incomplete"))
    .map((path) => basename(path))
    .sort();
}

function chainOf(error) {
  const parts = [];
  for (let at = error; at; at = at.cause) parts.push(`${at.stack ?? at}`);
  return parts.join("\n");
}

for await (const line of createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line);
  const started = performance.now();
  const answer = { ok: true, top: "", chain: "" };
  try {
    await operations[ask.op](ask);
  } catch (error) {
    answer.ok = false;
    answer.top = `${error.name}: ${error.message}`;
    answer.chain = chainOf(error);
  }
  answer.seconds = Math.round((performance.now() - started) / 10) / 100;
  answer.files = installed(ask.cache);
  // transformers.js answers before its cache is written.
  const wanted = basename(ask.path);
  for (let n = 0; answer.ok && n < 40 && ask.op !== "file" && !answer.files.includes(wanted); n++) {
    await new Promise((go) => setTimeout(go, 50));
    answer.files = installed(ask.cache);
  }
  say(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
