// transformers.js, pointed at the registry by `env.remoteHost`: what it fetches, up to the bytes of the weights.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AutoConfig, AutoTokenizer, AutoModel, env } from "@huggingface/transformers";
import { PLAN, check, feature, folder, main, repo, same } from "./steps.mjs";

env.remoteHost = `${PLAN.endpoint}/`;
env.allowLocalModels = false;
env.cacheDir = folder();
const cached = (told, path) => readFileSync(join(env.cacheDir, told.id, path));

feature("js-config", async () => {
  const model = repo("model");
  const config = await AutoConfig.from_pretrained(model.id);
  same(config.model_type, "bert", "model_type");
  check(model, "config.json", cached(model, "config.json"));
});
feature("js-tokenizer", async () => {
  const model = repo("model");
  const tokenizer = await AutoTokenizer.from_pretrained(model.id);
  same(tokenizer.encode("hello world"), [2, 3], "tokens");
  check(model, "tokenizer.json", cached(model, "tokenizer.json"));
});
feature("js-weights", async () => {
  const model = repo("onnx");
  await AutoModel.from_pretrained(model.id, { dtype: "fp32" });
  check(model, "onnx/model.onnx", cached(model, "onnx/model.onnx"));
});

const version = JSON.parse(readFileSync(new URL("node_modules/@huggingface/transformers/package.json", import.meta.url))).version;
await main(`@huggingface/transformers ${version} (Node ${process.versions.node})`);
