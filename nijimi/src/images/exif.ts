/**
 * EXIF: a TIFF structure of numbered entries. Reading whatever is there, within bounds; writing the few entries that
 * hold a picture's recipe.
 */
import { NijimiError } from "../errors.ts";
import { latin1 } from "./bytes.ts";

/** Numbers of the entries that nijimi knows. */
export const EXIF_TAGS = {
  imageDescription: 0x010e,
  make: 0x010f,
  model: 0x0110,
  orientation: 0x0112,
  software: 0x0131,
  exifFolder: 0x8769,
  makerNote: 0x927c,
  userComment: 0x9286,
} as const;

/** Entries of the main folder and of the EXIF folder by number: bytes as they are, or numbers. */
export type ExifEntries = ReadonlyMap<number, Uint8Array | number>;

/** Bytes of one value by type: byte, text, short, long, rational, …, undefined, … */
const TYPE_SIZES: Readonly<Record<number, number>> = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  5: 8,
  6: 1,
  7: 1,
  8: 2,
  9: 4,
  10: 8,
  11: 4,
  12: 8,
};

/** More entries in a folder than this are damage. */
const MAX_ENTRIES = 4096;

/** Reads the entries of both folders. What is damaged is left out: a picture is not refused for its EXIF. */
export function readExif(tiff: Uint8Array): ExifEntries {
  const entries = new Map<number, Uint8Array | number>();
  const order = latin1(tiff, 0, 2);
  if (tiff.length < 8 || (order !== "II" && order !== "MM")) return entries;
  const little = order === "II";
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const readFolder = (at: number): void => {
    if (at < 8 || at + 2 > tiff.length) return;
    const count = Math.min(MAX_ENTRIES, view.getUint16(at, little));
    for (
      let entry = at + 2;
      entry + 12 <= tiff.length && entry < at + 2 + 12 * count;
      entry += 12
    ) {
      const size =
        (TYPE_SIZES[view.getUint16(entry + 2, little)] ?? 0) * view.getUint32(entry + 4, little);
      const start = size <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
      if (size === 0 || start + size > tiff.length) continue;
      entries.set(
        view.getUint16(entry, little),
        valueAt(start, size, view.getUint16(entry + 2, little)),
      );
    }
  };
  const valueAt = (start: number, size: number, type: number): Uint8Array | number => {
    if (type === 3 && size === 2) return view.getUint16(start, little);
    if (type === 4 && size === 4) return view.getUint32(start, little);
    return tiff.subarray(start, start + size);
  };
  readFolder(view.getUint32(4, little));
  const folder = entries.get(EXIF_TAGS.exifFolder);
  if (typeof folder === "number") readFolder(folder);
  return entries;
}

/** The orientation that EXIF states, 1 to 8; 1 when it states none. */
export function orientationOf(tiff: Uint8Array | undefined): number {
  const orientation = tiff && readExif(tiff).get(EXIF_TAGS.orientation);
  return typeof orientation === "number" && orientation >= 1 && orientation <= 8 ? orientation : 1;
}

/** Text of an entry: up to its first NUL, as UTF-8. */
export function exifText(entries: ExifEntries, tag: number): string | undefined {
  const value = entries.get(tag);
  if (!(value instanceof Uint8Array)) return undefined;
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/**
 * Text of a user comment, which begins with eight bytes that name its encoding. UTF-16 comes in both byte orders,
 * whatever the file's own is: the order that makes more ASCII of it is taken.
 */
export function userComment(entries: ExifEntries): string | undefined {
  const value = entries.get(EXIF_TAGS.userComment);
  if (!(value instanceof Uint8Array) || value.length < 8) return undefined;
  const [encoding] = latin1(value, 0, 8).split("\0");
  const text = value.subarray(8);
  if (encoding !== "UNICODE") return new TextDecoder().decode(text).replace(/\0+$/, "");
  const high = text.reduce(
    (zeros, byte, i) => zeros + (byte === 0 ? (i % 2 === 0 ? 1 : -1) : 0),
    0,
  );
  const swapped = high > 0 ? text.map((_, i) => text[i ^ 1] ?? 0) : text;
  return new TextDecoder("utf-16le").decode(swapped).replace(/\0+$/, "");
}

/** What a picture's EXIF holds of its making. */
export interface ExifTexts {
  readonly software?: string;
  /** Written as UTF-16, big-endian, which other programs read. */
  readonly userComment?: string;
  /** Written as UTF-8 into the maker's own entry. */
  readonly makerNote?: string;
}

/**
 * A TIFF structure with the given texts.
 *
 * @throws NijimiError `memory` for more than 2^28 characters
 */
export function writeExif({ software, userComment: comment, makerNote }: ExifTexts): Uint8Array {
  const utf8 = new TextEncoder();
  const main: Entry[] =
    software === undefined
      ? []
      : [{ tag: EXIF_TAGS.software, type: 2, data: utf8.encode(`${software}\0`) }];
  const inner: Entry[] = [
    ...(makerNote === undefined
      ? []
      : [{ tag: EXIF_TAGS.makerNote, type: 7, data: utf8.encode(makerNote) }]),
    ...(comment === undefined
      ? []
      : [{ tag: EXIF_TAGS.userComment, type: 7, data: unicodeComment(comment) }]),
  ];
  if (inner.some(({ data }) => data.length > 2 ** 28))
    throw new NijimiError("memory", "EXIF: more than 268 million bytes of text.");
  const innerStart = 8 + folderSize([...main, { tag: 0, type: 4, data: new Uint8Array(4) }]);
  const pointer = new Uint8Array(4);
  new DataView(pointer.buffer).setUint32(0, innerStart, true);
  const withPointer = [...main, { tag: EXIF_TAGS.exifFolder, type: 4, data: pointer }];
  const out = new Uint8Array(innerStart + folderSize(inner));
  out.set([0x49, 0x49, 42, 0, 8, 0, 0, 0]); // "II", 42, main folder at 8
  writeFolder(out, 8, withPointer);
  writeFolder(out, innerStart, inner);
  return out;
}

interface Entry {
  readonly tag: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** Bytes of a folder with the data that do not fit into its entries. */
function folderSize(entries: readonly Entry[]): number {
  return entries.reduce(
    (size, { data }) => size + (data.length > 4 ? even(data.length) : 0),
    6 + 12 * entries.length,
  );
}

function even(size: number): number {
  return size + (size & 1);
}

function writeFolder(out: Uint8Array, at: number, entries: readonly Entry[]): void {
  const view = new DataView(out.buffer);
  view.setUint16(at, entries.length, true);
  let free = at + 6 + 12 * entries.length;
  entries.forEach(({ tag, type, data }, i) => {
    const entry = at + 2 + 12 * i;
    view.setUint16(entry, tag, true);
    view.setUint16(entry + 2, type, true);
    view.setUint32(entry + 4, type === 4 ? 1 : data.length, true);
    if (data.length <= 4) out.set(data, entry + 8);
    else {
      view.setUint32(entry + 8, free, true);
      out.set(data, free);
      free += even(data.length);
    }
  });
}

function unicodeComment(text: string): Uint8Array {
  const out = new Uint8Array(8 + 2 * text.length);
  out.set(new TextEncoder().encode("UNICODE\0"));
  const view = new DataView(out.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(8 + 2 * i, text.charCodeAt(i));
  return out;
}
