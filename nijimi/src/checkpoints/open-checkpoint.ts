/** Opening a checkpoint wherever it is: one file, or several with an index. */
import type { Checkpoint } from "./checkpoint.ts";
import type { HttpOptions } from "./files/http-source.ts";
import { openFolder, openSource, type SourceInput } from "./files/open-source.ts";
import { openBySignature, type ReadOptions } from "./open-by-signature.ts";
import { openSharded } from "./sharded.ts";

/** How {@link openCheckpoint} opens. */
export interface OpenOptions extends ReadOptions {
  /** For URLs. */
  readonly http?: HttpOptions;
}

/**
 * Opens a checkpoint: safetensors, torch (zip, legacy, TorchScript), bare pickles, `.npy`, `.npz` or GGUF;
 * for the index of a sharded one, the shards beside it.
 * Only what describes the tensors is read; nothing in the file is ever executed.
 *
 * @param input path (Node), URL, `File`, bytes or an open source
 * @throws NijimiError `format` for damaged files, `unsafe` for pickles that would run code, `unsupported`
 *   for formats that are known but not read
 * @example
 * const checkpoint = await openCheckpoint("v1-5-pruned-emaonly.safetensors");
 * const { shape, dtype } = checkpoint.entries["first_stage_model.post_quant_conv.weight"];
 */
export async function openCheckpoint(
  input: SourceInput,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  const index =
    typeof input === "string" || input instanceof URL ? splitIndex(String(input)) : undefined;
  if (index) return openSharded(await openFolder(index.folder, options.http), index.file, options);
  return openBySignature(await openSource(input, options.http), options);
}

/** Folder and name of an index; undefined for other files. */
function splitIndex(path: string): { readonly folder: string; readonly file: string } | undefined {
  const match = /^(.*?)([^/\\]+\.index(?:\.[\w-]+)?\.json)$/.exec(path);
  return match ? { folder: match[1] || ".", file: match[2] } : undefined;
}
