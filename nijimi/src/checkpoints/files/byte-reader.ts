/**
 * Reads numbers, strings and lines one after the other, and never beyond the end of the bytes: the
 * headers of pickles and GGUF files, whose length is known only once they are read.
 */
import { NijimiError } from "../../errors.ts";
import type { ByteSource } from "./byte-source.ts";

/** Longest integer accepted, in bytes: arbitrary precision is not what weights are made of. */
const MAX_INTEGER_BYTES = 1024;

/** Up to this length, ASCII is decoded by hand. */
const SHORT_TEXT = 32;
/** Arguments of one call of String.fromCharCode. */
const LATIN1_CHUNK = 4096;

/** The bytes end too early: the file is cut short, or more of it has to be read. */
export class EndOfBytes extends NijimiError {}

export interface ByteReader {
  /** Position of the next byte. */
  position(): number;
  /** A little-endian unsigned integer of 1, 2, 4 or 8 bytes. */
  unsigned(bytes: 1 | 2 | 4 | 8): number;
  int32(): number;
  /** An IEEE float of 4 or 8 bytes. */
  float(bytes: 4 | 8, littleEndian: boolean): number;
  /** A little-endian two's complement integer of any length. */
  integer(bytes: number): number | bigint;
  /** Checks that `length` more bytes are there. */
  require(length: number): void;
  /** The next bytes, sharing memory. */
  take(length: number): Uint8Array;
  text(length: number): string;
  /** Text where the next bytes are UTF-8, else the bytes themselves. */
  textOrBytes(length: number): string | Uint8Array;
  /** Latin-1 text up to the next line feed, which is skipped. */
  line(): string;
}

/** A reader of `bytes` from `start` on. */
export function byteReader(bytes: Uint8Array, start: number, name: string): ByteReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let at = start;

  function require(length: number): void {
    if (length > bytes.length - at)
      throw new EndOfBytes(
        "format",
        `${name} ends at byte ${bytes.length}, where ${length} more bytes were expected at ${at}; it is cut short or damaged.`,
      );
  }

  /** Moves on by `length` bytes; gives where they begin. */
  function advance(length: number): number {
    require(length);
    at += length;
    return at - length;
  }

  function decode(encoded: Uint8Array): string | undefined {
    // Most strings are short names, for which a decoder costs more than it does.
    if (encoded.length <= SHORT_TEXT && encoded.every((byte) => byte < 0x80))
      return latin1(encoded);
    try {
      return utf8.decode(encoded);
    } catch {
      return undefined;
    }
  }

  function text(length: number): string {
    const decoded = decode(take(length));
    if (decoded !== undefined) return decoded;
    throw new NijimiError("format", `${name} has a string that is not UTF-8, before byte ${at}.`);
  }

  const take = (length: number): Uint8Array => {
    const from = advance(length);
    return bytes.subarray(from, from + length);
  };

  return {
    position: () => at,
    unsigned: (size) => {
      const from = advance(size);
      if (size === 1) return view.getUint8(from);
      if (size === 2) return view.getUint16(from, true);
      if (size === 4) return view.getUint32(from, true);
      return view.getUint32(from, true) + view.getUint32(from + 4, true) * 2 ** 32;
    },
    int32: () => view.getInt32(advance(4), true),
    float: (size, littleEndian) =>
      size === 4
        ? view.getFloat32(advance(4), littleEndian)
        : view.getFloat64(advance(8), littleEndian),
    integer: (size) => {
      if (size > MAX_INTEGER_BYTES)
        throw new NijimiError(
          "format",
          `${name} has an integer of ${size} bytes at byte ${at}; at most ${MAX_INTEGER_BYTES} are read.`,
        );
      return integerOf(take(size));
    },
    require,
    take,
    text,
    textOrBytes: (length) => {
      const encoded = take(length);
      return decode(encoded) ?? encoded;
    },
    line: () => {
      const end = bytes.indexOf(0x0a, at);
      if (end < 0)
        throw new EndOfBytes(
          "format",
          `${name} ends inside a line of text; it is cut short or damaged.`,
        );
      const encoded = take(end - at);
      at++;
      return latin1(encoded);
    },
  };
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += LATIN1_CHUNK)
    text += String.fromCharCode(...bytes.subarray(at, at + LATIN1_CHUNK));
  return text;
}

/** The number, as a bigint only where a double would not be exact. */
export function simplest(value: bigint): number | bigint {
  const asNumber = Number(value);
  return Number.isSafeInteger(asNumber) ? asNumber : value;
}

function integerOf(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return simplest(BigInt.asIntN(bytes.length * 8, value));
}

/** Bytes read first; the pickles of a large model have some hundred kilobytes. */
const FIRST_BYTES = 2 ** 20;
const MAX_BYTES = 2 ** 28;

/**
 * Parses the beginning of a file without knowing how long it is: as long as `parse` runs out of bytes,
 * four times as many are read.
 */
export async function readGrowing<T>(
  source: ByteSource,
  parse: (bytes: Uint8Array) => T,
): Promise<T> {
  for (let length = FIRST_BYTES; ; length *= 4) {
    const bytes = await source.read(0, Math.min(length, source.size));
    try {
      return parse(bytes);
    } catch (error) {
      const more = bytes.length < source.size && length < MAX_BYTES;
      if (!(error instanceof EndOfBytes) || !more) throw error;
    }
  }
}
