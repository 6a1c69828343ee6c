/** PNG files as chunks (W3C PNG, third edition): length, type, data, checksum. */
import { NijimiError } from "../../errors.ts";
import { fourLetters } from "../bytes.ts";
import { crc32 } from "../../internal/crc32.ts";

export interface Chunk {
  /** Four letters; a capital first one means that readers must know it. */
  readonly type: string;
  readonly data: Uint8Array;
}

export const PNG_SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** True for bytes that begin as a PNG. */
export function isPng(bytes: Uint8Array): boolean {
  return PNG_SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/**
 * The chunks of a PNG up to and with IEND; data are views into the file.
 *
 * @throws NijimiError `format` when it is no PNG, is cut off, or a checksum is wrong
 */
export function readChunks(bytes: Uint8Array): Chunk[] {
  if (!isPng(bytes))
    throw new NijimiError("format", "PNG: the file does not begin with PNG's signature.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = PNG_SIGNATURE.length; ;) {
    if (at + 12 > bytes.length)
      throw new NijimiError(
        "format",
        `PNG: the file ends after ${bytes.length} bytes without its IEND chunk; it is cut off.`,
      );
    const length = view.getUint32(at);
    const type = fourLetters(bytes, at + 4);
    if (length > bytes.length - at - 12)
      throw new NijimiError(
        "format",
        `PNG: the chunk ${JSON.stringify(type)} claims ${length} bytes and ${bytes.length - at - 12} are left; the file is cut off.`,
      );
    if (view.getUint32(at + 8 + length) !== crc32(bytes.subarray(at + 4, at + 8 + length)))
      throw new NijimiError(
        "format",
        `PNG: the checksum of the chunk ${JSON.stringify(type)} is wrong; the file is damaged.`,
      );
    chunks.push({ type, data: bytes.subarray(at + 8, at + 8 + length) });
    if (type === "IEND") return chunks;
    at += 12 + length;
  }
}

/** A PNG of the given chunks, with their checksums. */
export function writeChunks(chunks: readonly Chunk[]): Uint8Array {
  const out = new Uint8Array(
    chunks.reduce((size, { data }) => size + 12 + data.length, PNG_SIGNATURE.length),
  );
  const view = new DataView(out.buffer);
  out.set(PNG_SIGNATURE);
  let at = PNG_SIGNATURE.length;
  for (const { type, data } of chunks) {
    view.setUint32(at, data.length);
    out.set(
      Array.from(type, (letter) => letter.charCodeAt(0)),
      at + 4,
    );
    out.set(data, at + 8);
    view.setUint32(at + 8 + data.length, crc32(out.subarray(at + 4, at + 8 + data.length)));
    at += 12 + data.length;
  }
  return out;
}
