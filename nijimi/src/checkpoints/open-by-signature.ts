/** Opening one file of any format, which is told by its first bytes, not by its name. */
import { NijimiError } from "../errors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { ByteSource } from "./files/byte-source.ts";
import { openGguf } from "./gguf/gguf.ts";
import { openNpy } from "./numpy/npy.ts";
import { isNpz, openNpz } from "./numpy/npz.ts";
import { openSafetensors } from "./safetensors-file.ts";
import { openBarePickle } from "./torch/bare-pickle.ts";
import { isTorchLegacy, openTorchLegacy } from "./torch/torch-legacy.ts";
import { isTorchZip, openTorchZip } from "./torch/torch-zip.ts";
import { openZip } from "./zip/archive.ts";

/** How checkpoints are read. */
export interface ReadOptions {
  /** Check the CRC-32 of zip members. @default true */
  readonly checksums?: boolean;
}

const SIGNATURE_BYTES = 512;
const OPENING_BRACE = 0x7b;

/**
 * Opens a file. The source is closed when that fails, and with the checkpoint otherwise.
 *
 * @throws NijimiError as `openCheckpoint`
 */
export async function openBySignature(
  source: ByteSource,
  options: ReadOptions = {},
): Promise<Checkpoint> {
  try {
    return await openKnown(source, options);
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function openKnown(source: ByteSource, { checksums }: ReadOptions): Promise<Checkpoint> {
  const start = await source.read(0, Math.min(source.size, SIGNATURE_BYTES));
  if (source.size === 0) throw new NijimiError("format", `${source.name} is empty.`);
  // Before pickles: a header of 640 bytes begins like one, 80 02 (its length, little-endian).
  if (looksLikeSafetensors(start)) return openSafetensors(source);
  if (startsWith(start, "PK\x03\x04") || startsWith(start, "PK\x05\x06"))
    return openZipped(source, checksums);
  if (startsWith(start, "\x93NUMPY")) return openNpy(source);
  if (startsWith(start, "GGUF")) return openGguf(source);
  if (isTorchLegacy(start)) return openTorchLegacy(source);
  // PROTO, with which protocols 2 to 5 begin; 0 and 1 have no mark, there only the name can tell.
  if (start[0] === 0x80 && start[1] >= 2 && start[1] <= 5) return openBarePickle(source);
  const other = nameForeign(start);
  if (other)
    throw new NijimiError(
      "unsupported",
      `${source.name} is ${other}, which is not read as a checkpoint.`,
    );
  if (start[8] === OPENING_BRACE || /\.safetensors$/i.test(source.name))
    return openSafetensors(source);
  if (/\.(pkl|pickle|pt|pth|ckpt|bin)$/i.test(source.name)) return openBarePickle(source);
  throw new NijimiError(
    "format",
    `${source.name} is in no known format: it begins with ${hex(start.subarray(0, 8))}. ` +
      "Accepted: safetensors, torch (.ckpt, .pt, .pth, .bin), .npy, .npz, GGUF.",
  );
}

/** A header length below 4 GB and the beginning of a JSON object. */
function looksLikeSafetensors(start: Uint8Array): boolean {
  return start[8] === OPENING_BRACE && start.subarray(4, 8).every((byte) => byte === 0);
}

async function openZipped(source: ByteSource, checksums: boolean | undefined): Promise<Checkpoint> {
  const archive = await openZip(source, { checksums });
  if (isTorchZip(archive)) return openTorchZip(archive);
  if (isNpz(archive)) return openNpz(archive);
  const names = [...archive.members.keys()].slice(0, 5).map((name) => JSON.stringify(name));
  throw new NijimiError(
    "format",
    `${source.name} is a zip archive, but neither torch's (NAME/data.pkl) nor NumPy's (*.npy); it has ${names.join(", ") || "no members"}.`,
  );
}

/** Formats that people take for checkpoints, by how they begin. */
const FOREIGN: readonly (readonly [start: string, name: string])[] = [
  ["version https://git-lfs", "a Git LFS pointer instead of the file itself (run `git lfs pull`)"],
  ["<!DOCTYPE", "a web page, probably in place of a failed download"],
  ["<!doctype", "a web page, probably in place of a failed download"],
  ["<html", "a web page, probably in place of a failed download"],
  ["\x89HDF", "an HDF5 file (Keras)"],
  ["\x1f\x8b", "compressed by gzip (unpack it first)"],
  ["\xfd7zXZ", "compressed by xz (unpack it first)"],
  ["7z\xbc\xaf", "a 7-Zip archive (unpack it first)"],
  ["Rar!", "a RAR archive (unpack it first)"],
  ["FUGG", "a big-endian GGUF file"],
  ["ggjt", "a GGML file from before GGUF"],
  ["lmgg", "a GGML file from before GGUF"],
  ["\x89PNG", "a PNG image"],
  ["\xff\xd8\xff", "a JPEG image"],
  ["RIFF", "a WebP image or another RIFF file"],
  ["%PDF", "a PDF document"],
  ['{"', "JSON text"],
  ["{\n", "JSON text"],
];

function nameForeign(start: Uint8Array): string | undefined {
  const tar = String.fromCharCode(...start.subarray(257, 262)) === "ustar";
  if (tar) return "a tar archive (torch before 0.1.10, or one to unpack first)";
  return FOREIGN.find(([signature]) => startsWith(start, signature))?.[1];
}

function startsWith(bytes: Uint8Array, signature: string): boolean {
  return (
    bytes.length >= signature.length && [...signature].every((c, i) => bytes[i] === c.charCodeAt(0))
  );
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
