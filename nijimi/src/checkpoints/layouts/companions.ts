/** Files beside a checkpoint that say what it cannot say itself. */
import { isNijimiError } from "../../errors.ts";
import { readText, type Folder } from "../files/folder.ts";
import { openFolder, type SourceInput } from "../files/open-source.ts";
import type { HttpOptions } from "../files/http-source.ts";
import { parseJsonObject, type JsonObject } from "../json.ts";
import type { Prediction } from "./stable-diffusion/schedulers.ts";

/** What lies beside a checkpoint. */
export interface Companions {
  /** `NAME.architecture.json` or `architecture.json`: configs by component. */
  readonly architecture?: JsonObject;
  /** `config.json`, where the checkpoint has the name that diffusers or transformers gives to weights. */
  readonly config?: JsonObject;
  /** From a CompVis `.yaml` of the same name. */
  readonly prediction?: Prediction;
}

/** Names that go with a `config.json`. */
const LIBRARY_WEIGHTS =
  /^(diffusion_pytorch_model|model|pytorch_model)(\.\w+)?\.(safetensors|bin)$/;

/** Looks beside a path or URL; for anything else there is no beside. */
export async function findCompanions(
  input: SourceInput,
  http: HttpOptions = {},
): Promise<Companions> {
  if (typeof input !== "string" && !(input instanceof URL)) return {};
  const [, place, file] = /^(.*[\\/])?([^\\/]+)$/.exec(String(input).replace(/[?#].*$/, "")) ?? [];
  if (file === undefined) return {};
  const folder = await openFolder(place ?? ".", http).catch(() => undefined);
  if (!folder) return {};
  const [architecture, config, yaml] = [
    (await read(folder, file.replace(/\.[^.]*$/, ".architecture.json"))) ??
      (await read(folder, "architecture.json")),
    LIBRARY_WEIGHTS.test(file) ? await read(folder, "config.json") : undefined,
    await read(folder, file.replace(/\.[^.]*$/, ".yaml")),
  ];
  return {
    architecture: architecture === undefined ? undefined : parse(architecture, "architecture.json"),
    config: config === undefined ? undefined : parse(config, "config.json"),
    prediction: yaml === undefined ? undefined : predictionOf(yaml),
  };
}

function parse(text: string, name: string): JsonObject {
  return parseJsonObject(text, { nonFinite: true, name });
}

async function read(folder: Folder, name: string): Promise<string | undefined> {
  try {
    const source = await folder.open(name);
    if (!source) return undefined;
    const text = await readText(source);
    await source.close();
    return text;
  } catch (error) {
    // A server may refuse to say whether there is such a file; then there is none for us.
    if (isNijimiError(error) && error.code === "network") return undefined;
    throw error;
  }
}

/** The one line that matters of a CompVis config. */
function predictionOf(yaml: string): Prediction | undefined {
  const stated = /^\s*parameterization:\s*["']?(\w+)/m.exec(yaml)?.[1];
  if (stated === undefined) return undefined;
  return stated === "v" ? "v_prediction" : "epsilon";
}
