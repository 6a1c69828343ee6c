/** CLIP in a folder of transformers, with a vocabulary and a normalisation of its own, as `nijimi train clip` writes. */
import type { Folder } from "../../checkpoints/files/folder.ts";
import { openFolder, openSource } from "../../checkpoints/files/open-source.ts";
import { parseJsonObject, type JsonObject } from "../../checkpoints/json.ts";
import { openCheckpoint } from "../../checkpoints/open-checkpoint.ts";
import { NijimiError } from "../../errors.ts";
import { loadTokenizer, TOKENIZER_FILES } from "../../text/load-tokenizer.ts";
import { type ClipNetwork, clipOfComponent, type ClipOptions } from "./clip.ts";
import { sha256Of } from "./weights-file.ts";

const WEIGHTS = "model.safetensors";

/**
 * Opens a CLIP's folder: `config.json`, `model.safetensors`, a tokenizer's files, `preprocessor_config.json`.
 *
 * @throws NijimiError `file` when one of them is missing
 * @example
 * const judge = await openClipFolder("models/emoji-judge");
 */
export async function openClipFolder(
  input: string | Folder,
  options: Omit<ClipOptions, "tokenizer" | "normalise"> = {},
): Promise<ClipNetwork> {
  const folder = await openFolder(input);
  const files: Record<string, Uint8Array | undefined> = {};
  for (const name of TOKENIZER_FILES) files[name] = await read(folder, name);
  const config = await readJson(folder, "config.json");
  const weights = await required(folder, WEIGHTS);
  const checkpoint = await openCheckpoint(await openSource(weights));
  const name = folder.name.split(/[\\/]/).findLast((part) => part !== "") ?? "clip";
  return clipOfComponent({ config, entries: checkpoint.entries }, await sha256Of(weights), {
    name,
    tokenizer: loadTokenizer(files),
    normalise: normalisationOf(await readJson(folder, "preprocessor_config.json")),
    ...options,
  });
}

function normalisationOf(config: JsonObject): NonNullable<ClipOptions["normalise"]> {
  const three = (key: string) => {
    const value = config[key];
    if (Array.isArray(value) && value.length === 3 && value.every(Number.isFinite))
      return value as unknown as readonly [number, number, number];
    throw new NijimiError(
      "format",
      `preprocessor_config.json: ${key} is ${JSON.stringify(value)}; expected three numbers.`,
    );
  };
  return { mean: three("image_mean"), std: three("image_std") };
}

async function readJson(folder: Folder, name: string): Promise<JsonObject> {
  return parseJsonObject(new TextDecoder().decode(await required(folder, name)));
}

async function required(folder: Folder, name: string): Promise<Uint8Array> {
  const bytes = await read(folder, name);
  if (bytes === undefined) throw new NijimiError("file", `${folder.name} holds no ${name}.`);
  return bytes;
}

async function read(folder: Folder, name: string): Promise<Uint8Array | undefined> {
  const source = await folder.open(name);
  if (source === undefined) return undefined;
  const bytes = await source.read(0, source.size);
  await source.close();
  return bytes;
}
