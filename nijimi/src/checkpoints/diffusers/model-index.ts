/** `model_index.json`: which pipeline a diffusers folder is made for, and which class each of its parts has. */
import { NijimiError } from "../../errors.ts";
import { readText, type Folder } from "../files/folder.ts";
import { parseJsonObject, type JsonObject, type JsonValue } from "../json.ts";

/** A class of diffusers or transformers. */
export interface ComponentClass {
  readonly library: string;
  readonly className: string;
}

export interface ModelIndex {
  /** Class of the pipeline, e.g. `"StableDiffusionPipeline"`. */
  readonly className: string;
  /** Components by the name of their folder; null for those left out. */
  readonly components: Readonly<Record<string, ComponentClass | null>>;
  /** Everything else that is set, e.g. `requires_safety_checker`. */
  readonly options: JsonObject;
}

export const MODEL_INDEX = "model_index.json";

/**
 * Reads the index of a folder.
 *
 * @throws NijimiError `file` when there is none, `format` when it is damaged, `unsafe` when it asks for Python
 *   code or a folder outside
 */
export async function readModelIndex(folder: Folder): Promise<ModelIndex> {
  const name = `${folder.name}/${MODEL_INDEX}`;
  const json = await readJsonFile(folder, MODEL_INDEX);
  const components = Object.create(null) as Record<string, ComponentClass | null>;
  const options = Object.create(null) as JsonObject;
  for (const [key, value] of Object.entries(json)) {
    if (key.startsWith("_")) continue;
    if (Array.isArray(value))
      components[checkName(key, name)] = parseClass(value, `${name}: ${key}`);
    else options[key] = value;
  }
  return { className: parseClassName(json._class_name, name), components, options };
}

/**
 * Reads a JSON object of a folder: a config, an index. Bare `NaN` and infinities are numbers.
 *
 * @throws NijimiError `file` when it is missing, `format` when it is not a JSON object
 */
export async function readJsonFile(folder: Folder, path: string): Promise<JsonObject> {
  const name = `${folder.name}/${path}`;
  const source = await folder.open(path);
  if (!source) throw new NijimiError("file", `${name} is missing.`);
  const text = await readText(source).finally(() => source.close());
  return parseJsonObject(text, { name, nonFinite: true });
}

/** A list of module and class names a Python file of the folder, which diffusers would run. */
function parseClassName(value: JsonValue | undefined, name: string): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value))
    throw new NijimiError(
      "unsafe",
      `${name} asks for the custom pipeline ${JSON.stringify(value)}, a Python file of the folder; custom pipeline code is never run.`,
    );
  throw new NijimiError("format", `${name} does not name its pipeline in "_class_name".`);
}

function checkName(key: string, name: string): string {
  if (/^\w+$/.test(key)) return key;
  throw new NijimiError(
    "unsafe",
    `${name} has a component ${JSON.stringify(key)}, which is not a plain folder name; it is not opened.`,
  );
}

function parseClass(value: readonly JsonValue[], where: string): ComponentClass | null {
  const [library, className] = value;
  if (value.length === 2 && library === null && className === null) return null;
  if (value.length === 2 && typeof library === "string" && typeof className === "string")
    return { library, className };
  throw new NijimiError(
    "format",
    `${where} is ${JSON.stringify(value)}; expected [library, class].`,
  );
}
