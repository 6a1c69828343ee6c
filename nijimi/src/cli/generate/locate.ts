/** Where models and adapters are: a path, or a name in the models folder. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { NijimiError, unknownName } from "../../errors.ts";
import { home } from "../../internal/home.node.ts";
import { isThere } from "../../internal/is-there.node.ts";
import { EMBEDDED_MODEL, embeddedModelUrl } from "../../pipelines/embedded-model.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Endings that a name may leave out. */
const ENDINGS = ["", ".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf"];

/** The file or folder of a name in `folder`; undefined when there is none. */
export async function inFolder(folder: string, name: string): Promise<string | undefined> {
  if (!/^[^\\/]+$/.test(name) || name === "..") return undefined;
  for (const ending of ENDINGS) {
    const path = join(folder, name + ending);
    if (await isThere(path)) return path;
  }
  return undefined;
}

/**
 * The path of a model.
 *
 * @param wanted path, URL, or a name: in the models folder, or of a model that was used before
 * @throws NijimiError `option` naming what is there, `file` where that would not help
 */
export async function locateModel(wanted: string, env: Env): Promise<string> {
  if (/^https?:/i.test(wanted) || (await isThere(wanted))) return wanted;
  const { models } = home(env);
  const found = (await inFolder(models, wanted)) ?? (await usedBefore(env))[wanted];
  if (found !== undefined && (await isThere(found))) return found;
  if (wanted === EMBEDDED_MODEL) return embeddedModel();
  const names = (await readdir(models).catch(() => [])).map((name) =>
    name.replace(/\.(safetensors|ckpt|gguf)$/, ""),
  );
  if (/[\\/]|\.\w+$/.test(wanted) || names.length === 0)
    throw new NijimiError(
      "file",
      `There is no model ${JSON.stringify(wanted)}: neither a file or folder of that name, nor one in ${models}. Give the path of a checkpoint, or put it there.`,
    );
  throw unknownName("model", wanted, names);
}

/**
 * The path of the model that comes with the package.
 *
 * @throws NijimiError `file` when it is not there
 */
async function embeddedModel(): Promise<string> {
  const folder = fileURLToPath(embeddedModelUrl());
  if (await isThere(join(folder, "model_index.json"))) return folder;
  throw new NijimiError(
    "file",
    `The model that comes with the package, "${EMBEDDED_MODEL}", is not at ${folder}. Name a checkpoint with --model, or train it: docs/guide/training.md.`,
  );
}

/** Paths of models by their file's name, so that a picture's recipe finds its model again. */
async function usedBefore(env: Env): Promise<Readonly<Record<string, string>>> {
  try {
    return JSON.parse(await readFile(listPath(env), "utf8")) as Record<string, string>;
  } catch {
    return {};
  }
}

/** Remembers where a model was. A list that cannot be written is not worth an error. */
export async function rememberModel(path: string, env: Env): Promise<void> {
  if (/^https?:/i.test(path)) return;
  const absolute = resolve(path);
  const name = absolute.split(/[\\/]/).at(-1) ?? absolute;
  const list = await usedBefore(env);
  if (list[name] === absolute) return;
  try {
    await mkdir(dirname(listPath(env)), { recursive: true });
    await writeFile(listPath(env), `${JSON.stringify({ ...list, [name]: absolute }, null, 2)}\n`);
  } catch {
    // The cache folder may be read-only.
  }
}

function listPath(env: Env): string {
  return join(home(env).cache, "used-models.json");
}
