/**
 * Checks with Python that diffusers folders written here load in diffusers, with no missing or unexpected key and
 * equal tensors: plainly, in shards, and converted to float16 and bfloat16.
 *
 * `NIJIMI_PYTHON=/path/to/python npm run check:diffusers -- [FOLDER…]`
 *
 * The interpreter needs torch, diffusers and transformers. Without NIJIMI_PYTHON nothing is checked.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  openCheckpoint,
  openFolder,
  parseJsonObject,
  readText,
  saveDiffusersFolder,
  type Checkpoint,
  type Folder,
  type JsonObject,
  type SavedComponent,
  type SaveFolderOptions,
} from "nijimi/checkpoints";

const DEFAULT_FOLDER = path.join(
  import.meta.dirname,
  "../conformance/cases/badinput_more/folder_ok",
);
const CHECKER = path.join(import.meta.dirname, "python/check_diffusers_folders.py");

/** Names of copies, which tell the checker what was converted, and how they are written. */
const COPIES: Readonly<Record<string, SaveFolderOptions>> = {
  plain: {},
  "in-shards": { maxShardBytes: 10_000 },
  "as-float16": { dtype: "float16", variant: "float16" },
  "as-bfloat16": { dtype: "bfloat16", variant: "bfloat16", maxShardBytes: 100_000 },
};

const WEIGHTS = /\.(safetensors|bin)(\.index\.json)?$/;
const CONFIG = /^(config|scheduler_config|preprocessor_config)\.json$/;

/** Reads a component as it is to be written again. */
async function readComponent(
  folder: Folder,
  name: string,
  [library, className]: readonly [string, string],
  opened: Checkpoint[],
): Promise<SavedComponent> {
  const all = (await folder.list()) ?? [];
  const files = all
    .filter((file) => file.startsWith(`${name}/`))
    .map((file) => file.slice(name.length + 1));
  const weights =
    files.find((file) => file.endsWith(".index.json")) ?? files.find((file) => WEIGHTS.test(file));
  const config = files.find((file) => CONFIG.test(file));
  const others = files.filter((file) => !WEIGHTS.test(file) && file !== config);
  const at = (file: string) => path.join(folder.name, name, file);
  const checkpoint = weights === undefined ? undefined : await openCheckpoint(at(weights));
  if (checkpoint) opened.push(checkpoint);
  return {
    library,
    className,
    ...(config !== undefined && { config: await readJson(folder, `${name}/${config}`) }),
    ...(checkpoint && { tensors: checkpoint.entries }),
    files: Object.fromEntries(
      await Promise.all(others.map(async (file) => [file, await readFile(at(file))])),
    ),
  };
}

async function readJson(folder: Folder, file: string): Promise<JsonObject> {
  const source = await folder.open(file);
  if (!source) throw new Error(`${folder.name}/${file} is missing.`);
  const text = await readText(source).finally(() => source.close());
  return parseJsonObject(text, { nonFinite: true, name: file });
}

/** Writes all copies of a folder and has Python compare them; true when they are equal. */
async function check(original: string, python: string): Promise<boolean> {
  const work = await mkdtemp(path.join(tmpdir(), "nijimi-diffusers-"));
  const opened: Checkpoint[] = [];
  try {
    const folder = await openFolder(original);
    const {
      _class_name: className,
      _diffusers_version: _,
      ...rest
    } = await readJson(folder, "model_index.json");
    const components: Record<string, SavedComponent | null> = {};
    const options: JsonObject = {};
    for (const [name, value] of Object.entries(rest))
      if (!Array.isArray(value)) options[name] = value;
      else if (value[0] === null) components[name] = null;
      else components[name] = await readComponent(folder, name, value as [string, string], opened);
    for (const [copy, how] of Object.entries(COPIES))
      await saveDiffusersFolder(
        path.join(work, copy),
        { className: String(className), components, options },
        how,
      );
    const copies = Object.keys(COPIES).map((copy) => path.join(work, copy));
    return (
      spawnSync(python, [CHECKER, path.resolve(original), ...copies], { stdio: "inherit" })
        .status === 0
    );
  } finally {
    for (const checkpoint of opened) await checkpoint.close();
    await rm(work, { recursive: true });
  }
}

const python = process.env.NIJIMI_PYTHON;
const folders = process.argv.slice(2);
if (python === undefined) console.log("NIJIMI_PYTHON names no interpreter: nothing is checked.");
else
  for (const folder of folders.length > 0 ? folders : [DEFAULT_FOLDER])
    if (!(await check(folder, python))) process.exitCode = 1;
