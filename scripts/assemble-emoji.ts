/**
 * The embedded model and its judge out of their trainings: the diffusers folder that `nijimi train emoji` wrote (its
 * U-Net, with the autoencoder and the text tower that it was trained on) and the judge's CLIP, both with weights in
 * half precision, where the package has them.
 *
 * `npm run emoji:assemble [-- --trainings DIR --output DIR --steps 20 --guidance 3]`
 */
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { convertCheckpoint } from "nijimi/checkpoints";
import { DEFAULT_KEYS } from "../nijimi/src/pipelines/defaults.ts";
import { home } from "../nijimi/src/internal/home.node.ts";
import { folderSize } from "./emoji/folder-size.ts";

/** All that is committed, the judge included. */
const LARGEST = 45e6;
/** Weights of the judge, in both folders. */
const WEIGHTS = "model.safetensors";

const { values } = parseArgs({
  options: {
    trainings: { type: "string", default: path.join(home(process.env).root, "training") },
    output: { type: "string", default: path.join(import.meta.dirname, "../nijimi/models") },
    steps: { type: "string", default: "20" },
    guidance: { type: "string", default: "3" },
    "no-judge": { type: "boolean", default: false },
  },
});

/** The pipeline's folder, with what it is sampled with by default. */
async function assembleModel(input: string, output: string): Promise<void> {
  const kept = await readKept(output);
  await convertCheckpoint(input, output, { to: "diffusers", dtype: "float16", overwrite: true });
  const file = path.join(output, "model_index.json");
  const index = {
    ...(JSON.parse(await readFile(file, "utf8")) as object),
    [DEFAULT_KEYS.steps]: Number(values.steps),
    [DEFAULT_KEYS.guidanceScale]: Number(values.guidance),
  };
  await writeFile(file, `${JSON.stringify(index, null, 2)}\n`);
  for (const [name, content] of kept) await writeFile(path.join(output, name), content);
}

/** What was written beside the model by hand or by the figures. */
async function readKept(folder: string): Promise<(readonly [string, Buffer])[]> {
  const names = await readdir(folder).catch(() => []);
  const kept = names.filter((name) => /\.(md|png|svg)$|^(figures|verdicts)\.json$/.test(name));
  return Promise.all(
    kept.map(async (name) => [name, await readFile(path.join(folder, name))] as const),
  );
}

/** A CLIP of transformers' layout: weights halved, everything else as it is. */
async function assembleJudge(input: string, output: string): Promise<void> {
  await rm(output, { recursive: true, force: true });
  await mkdir(output, { recursive: true });
  const options = { to: "safetensors", dtype: "float16", overwrite: true } as const;
  await convertCheckpoint(path.join(input, WEIGHTS), path.join(output, WEIGHTS), options);
  for (const name of await readdir(input))
    if (name !== WEIGHTS) await copyFile(path.join(input, name), path.join(output, name));
}

const run = (recipe: string) => path.join(values.trainings, recipe, "model");
const inputs = { emoji: run("emoji"), judge: run("emoji-judge") };
const wanted = values["no-judge"] ? [inputs.emoji] : Object.values(inputs);
for (const folder of wanted)
  if (!(await stat(folder).catch(() => undefined)))
    throw new Error(`${folder} is not there: train it, or write it with --save-model.`);

const output = path.join(values.output, "emoji");
await assembleModel(inputs.emoji, output);
if (!values["no-judge"]) await assembleJudge(inputs.judge, path.join(values.output, "emoji-judge"));
const bytes = await folderSize(values.output);
console.log(`${output}: ${(bytes / 1e6).toFixed(1)} MB with the judge`);
if (bytes > LARGEST) {
  console.error(`Expected at most ${LARGEST / 1e6} MB: make the networks smaller.`);
  process.exitCode = 1;
}
