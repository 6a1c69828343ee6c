/**
 * A checkpoint in several files with an index: `{"metadata": …, "weight_map": {"tensor": "file"}}`, as
 * diffusers and transformers write it for large models.
 */
import { NijimiError } from "../errors.ts";
import type { Checkpoint, Entry } from "./checkpoint.ts";
import { checkRelativePath, readText, type Folder } from "./files/folder.ts";
import { isJsonObject, parseJsonObject, type JsonValue } from "./json.ts";
import { openBySignature, type ReadOptions } from "./open-by-signature.ts";

/**
 * Opens an index and the shards it names.
 *
 * @param path of the index in the folder; shards are beside it
 * @throws NijimiError `format` when index and shards do not agree, `unsafe` when a shard's name leaves the folder,
 *   `file` when one is missing
 */
export async function openSharded(
  folder: Folder,
  path: string,
  options: ReadOptions = {},
): Promise<Checkpoint> {
  const name = `${folder.name}/${path}`;
  const map = await readIndex(folder, path, name);
  const directory = path.slice(0, path.lastIndexOf("/") + 1);
  const shards = new Map<string, Checkpoint>();
  const close = async () => {
    for (const shard of shards.values()) await shard.close();
  };
  try {
    for (const file of new Set(Object.values(map)))
      shards.set(file, await openShard(folder, directory + file, name, options));
    return {
      format: [...shards.values()][0]?.format ?? "safetensors",
      name,
      metadata: Object.assign({}, ...[...shards.values()].map(({ metadata }) => metadata)),
      entries: joinEntries(map, shards, name),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readIndex(
  folder: Folder,
  path: string,
  name: string,
): Promise<Record<string, string>> {
  const source = await folder.open(path);
  if (!source) throw new NijimiError("file", `${name} is missing.`);
  const text = await readText(source).finally(() => source.close());
  const { weight_map: map } = parseJsonObject(text, { name });
  if (!isJsonObject(map))
    throw new NijimiError("format", `${name} has no "weight_map" of tensors to files.`);
  for (const [tensor, file] of Object.entries(map))
    checkShardName(file, `${name}, for ${JSON.stringify(tensor)},`);
  return map as Record<string, string>;
}

function checkShardName(file: JsonValue, where: string): void {
  if (typeof file !== "string")
    throw new NijimiError(
      "format",
      `${where} has ${JSON.stringify(file)} where a file name belongs.`,
    );
  checkRelativePath(file, where);
}

async function openShard(
  folder: Folder,
  path: string,
  index: string,
  options: ReadOptions,
): Promise<Checkpoint> {
  const source = await folder.open(path);
  if (source) return openBySignature(source, options);
  throw new NijimiError(
    "file",
    `${folder.name}/${path} is missing; the index ${index} names it. Download all shards.`,
  );
}

function joinEntries(
  map: Readonly<Record<string, string>>,
  shards: ReadonlyMap<string, Checkpoint>,
  name: string,
): Record<string, Entry> {
  const entries = Object.create(null) as Record<string, Entry>;
  for (const [tensor, file] of Object.entries(map)) {
    const entry = shards.get(file)?.entries[tensor];
    if (!entry)
      throw new NijimiError(
        "format",
        `${name} says that ${tensor} is in ${file}, where it is not.`,
      );
    entries[tensor] = entry;
  }
  for (const [file, shard] of shards)
    for (const tensor of Object.keys(shard.entries))
      if (map[tensor] !== file)
        throw new NijimiError("format", `${tensor} is in ${file}, but ${name} does not say so.`);
  return entries;
}
