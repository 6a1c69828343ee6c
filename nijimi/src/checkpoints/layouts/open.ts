/** Telling folders from files, wherever they are. */
import { isNijimiError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { Folder } from "../files/folder.ts";
import type { HttpOptions } from "../files/http-source.ts";
import { openFolder, type SourceInput } from "../files/open-source.ts";
import { openCheckpoint } from "../open-checkpoint.ts";

/** A folder of a model, or the checkpoint in a file. */
export type Opened =
  | { readonly kind: "folder"; readonly folder: Folder }
  | { readonly kind: "file"; readonly checkpoint: Checkpoint };

/** Opens a path, URL or `File` as what it is. */
export async function openFolderOrFile(
  input: SourceInput | Folder,
  http?: HttpOptions,
): Promise<Opened> {
  const folder = await asFolder(input, http);
  if (folder) return { kind: "folder", folder };
  return { kind: "file", checkpoint: await openCheckpoint(input as SourceInput, { http }) };
}

const FILE_ENDING = /\.(safetensors|ckpt|pt|pth|bin|pkl|npy|npz|gguf|json)$/i;

async function asFolder(
  input: SourceInput | Folder,
  http?: HttpOptions,
): Promise<Folder | undefined> {
  if (typeof input === "object" && "list" in input) return input;
  if (typeof input !== "string" && !(input instanceof URL)) return undefined;
  const isHttp = /^https?:/i.test(String(input));
  // A server does not say what is a folder; files have an ending that is known.
  if (isHttp)
    return FILE_ENDING.test(new URL(input).pathname) ? undefined : openFolder(input, http);
  return openFolder(input).catch((error: unknown) => {
    // Not a folder, or not there: opening it as a file says which.
    if (isNijimiError(error) && error.code === "file") return undefined;
    throw error;
  });
}
