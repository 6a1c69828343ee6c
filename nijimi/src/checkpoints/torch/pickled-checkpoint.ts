/** From the pickle of a checkpoint to its entries, whichever container the pickle and its storages lie in. */
import { NijimiError } from "../../errors.ts";
import { ROOT_NAME, type Entries, type Entry, type Metadata } from "../checkpoint.ts";
import { parseArrayType } from "../numpy/dtype.ts";
import { arrayBytes, tensorOfArray } from "../numpy/layout.ts";
import { collectContents } from "../pickle/contents.ts";
import type { ArrayRef, PickleValue } from "../pickle/values.ts";
import { stridedEntry, type StorageReader } from "./tensor-entry.ts";

/** Entries and metadata of a pickled value. */
export function pickledEntries(
  value: PickleValue,
  storages: StorageReader,
  name: string,
): { readonly entries: Entries; readonly metadata: Metadata } {
  const { tensors, metadata } = collectContents(value, name);
  const entries = Object.create(null) as Record<string, Entry>;
  for (const [path, ref] of tensors) {
    const where = `${name}: tensor ${JSON.stringify(path)}`;
    entries[path === "" ? ROOT_NAME : path] =
      ref.kind === "tensor" ? stridedEntry(ref, storages, where) : arrayEntry(ref, where);
  }
  return { entries, metadata };
}

/** The entry for a NumPy array, whose bytes are in the pickle. */
function arrayEntry({ type, shape, bytes, columnMajor }: ArrayRef, name: string): Entry {
  if (!type)
    throw new NijimiError("format", `${name} is an array without a type; the file is damaged.`);
  const { dtype } = parseArrayType(type.code, name);
  const layout = { dtype, bigEndian: type.bigEndian, shape, columnMajor };
  if (arrayBytes(layout) !== bytes.length)
    throw new NijimiError(
      "format",
      `${name} has ${bytes.length} bytes; its shape [${shape}] and dtype ${dtype} need ${arrayBytes(layout)}.`,
    );
  return { dtype, shape, read: async () => tensorOfArray(layout, bytes) };
}
