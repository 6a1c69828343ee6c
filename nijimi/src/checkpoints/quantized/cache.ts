/**
 * Quantised models made on the fly, kept in a folder by the hash of what they were made of: a checkpoint that moves, or
 * lies in two places, is quantised once. The hash itself is remembered by the files' sizes and times of change, so
 * that a later start reads nothing of the original but headers.
 */
import { NijimiError } from "../../errors.ts";
import type { SourceInput } from "../files/open-source.ts";
import type { Folder } from "../files/folder.ts";
import { formatJson, isJsonObject, type JsonObject, parseJsonObject } from "../json.ts";
import { loadCheckpoint, type LoadedCheckpoint, type LoadOptions } from "../layouts/load.ts";
import { checkPrecision, type QuantizedPrecision } from "./policy.ts";
import { isQuantized, quantizeLoaded, writeQuantized } from "./quantize.ts";
import { quantizationConfig } from "./stored.ts";

/** How {@link loadQuantized} works. */
export interface LoadQuantizedOptions extends LoadOptions {
  readonly precision: QuantizedPrecision;
  /** Folder in which quantised models are kept (Node). @default none: weights are quantised whenever they are read */
  readonly folder?: string;
  /** Called while the model is quantised, tensor by tensor. */
  readonly onTensor?: (done: number, total: number, name: string) => void;
}

/**
 * Loads a checkpoint with quantised weights. One that is quantised already, in that precision, is loaded as it is.
 *
 * @throws NijimiError `option` when it is quantised otherwise
 * @example
 * const checkpoint = await loadQuantized("v1-5.safetensors", { precision: "int8", folder: "cache/quantized" });
 */
export async function loadQuantized(
  input: SourceInput | Folder,
  options: LoadQuantizedOptions,
): Promise<LoadedCheckpoint> {
  const precision = checkPrecision(options.precision);
  const loaded = await loadCheckpoint(input, options);
  try {
    if (isQuantized(loaded)) return sameOrRefused(loaded, precision);
    const files = filesOf(loaded);
    if (options.folder === undefined || files === undefined)
      return quantizeLoaded(loaded, precision);
    const path = await ensure(loaded, files, options.folder, options);
    const small = await loadCheckpoint(path);
    await loaded.close();
    // Messages and recipes name the model that was asked for.
    return { ...small, name: loaded.name, title: loaded.title, family: loaded.family };
  } catch (error) {
    await loaded.close();
    throw error;
  }
}

function sameOrRefused(loaded: LoadedCheckpoint, precision: QuantizedPrecision): LoadedCheckpoint {
  const [found] = Object.values(loaded.components).flatMap(
    ({ quantization }) => quantization ?? [],
  );
  if (found === precision) return loaded;
  throw new NijimiError(
    "option",
    `${loaded.name} is quantised to ${found}; ${precision} needs the model that it was made of.`,
  );
}

/** Files that hold the weights; undefined where some are elsewhere. */
function filesOf({ components }: LoadedCheckpoint): readonly string[] | undefined {
  const files = new Set<string>();
  for (const { entries } of Object.values(components))
    for (const { location } of Object.values(entries)) {
      if (location === undefined) return undefined;
      files.add(location.file);
    }
  return [...files].sort();
}

/** Path of the quantised folder, which is made when it is not there. */
async function ensure(
  loaded: LoadedCheckpoint,
  files: readonly string[],
  folder: string,
  options: LoadQuantizedOptions,
): Promise<string> {
  const { join, stamp, openFolder } = await import("#files");
  const what = { ...outline(loaded, files), ...quantizationConfig(options.precision) };
  const stamps = await Promise.all(files.map(async (file) => [file, await stamp(file)]));
  const key = await hashText(JSON.stringify({ stamps, what }));
  const index = join(folder, "index.json");
  const known = await readIndex(index);
  const hash = known[key] ?? (await contentHash(files, what));
  const path = join(folder, String(hash));
  const isThere = await openFolder(path).then(
    () => true,
    () => false,
  );
  if (!isThere)
    await writeQuantized(loaded, path, options).catch(async (error: unknown) => {
      // Another process may have been faster.
      await openFolder(path).catch(() => {
        throw error;
      });
    });
  if (known[key] === undefined) await writeIndex(index, { ...known, [key]: hash });
  return path;
}

/** What a checkpoint is beside the bytes of its files. */
function outline({ components, schedulers, settings }: LoadedCheckpoint, files: readonly string[]) {
  const networks = Object.entries(components).map(([name, { className, config, entries }]) => {
    const places = Object.entries(entries).map(([parameter, { location, dtype, shape }]) => [
      parameter,
      dtype,
      shape,
      location && [files.indexOf(location.file), location.offset],
    ]);
    return { name, className, config, places };
  });
  return { networks, schedulers, settings };
}

/** Bytes that are hashed at once. */
const CHUNK = 1 << 24;

/** Hash over the hashes of chunks, since browsers' and Node's common interface hashes what is in memory. */
async function contentHash(files: readonly string[], what: object): Promise<string> {
  const { openFile } = await import("#files");
  const digests: string[] = [];
  for (const file of files) {
    const source = await openFile(file);
    try {
      for (let at = 0; at < source.size; at += CHUNK)
        digests.push(await digest(await source.read(at, Math.min(CHUNK, source.size - at))));
    } finally {
      await source.close();
    }
  }
  return hashText(JSON.stringify({ digests, what }));
}

async function hashText(text: string): Promise<string> {
  return (await digest(new TextEncoder().encode(text))).slice(0, 32);
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Hashes by files and times; what cannot be read is found out again. */
async function readIndex(path: string): Promise<JsonObject> {
  const { openFile } = await import("#files");
  try {
    const source = await openFile(path);
    const text = new TextDecoder().decode(await source.read(0, source.size));
    await source.close();
    const index = parseJsonObject(text, { name: path });
    return isJsonObject(index) ? index : {};
  } catch {
    return {};
  }
}

async function writeIndex(path: string, index: JsonObject): Promise<void> {
  const { writeFile } = await import("#files");
  await writeFile(path, [new TextEncoder().encode(formatJson(index))]);
}
