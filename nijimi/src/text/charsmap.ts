/**
 * sentencepiece's precompiled normalisation: a double-array trie (darts-clone) from UTF-8 prefixes to replacements,
 * in `spiece.model` and, as base64, in `tokenizer.json`.
 *
 * Layout: u32 size of the trie in bytes, the trie's u32 units, then NUL-terminated replacements.
 */
import { NijimiError } from "../errors.ts";
import { originalSpan, type AlignedText } from "./aligned-text.ts";

/** Looks up a prefix of a text. */
export interface Charsmap {
  /** Prefixes of `bytes` from `from` on that are in the map, shortest first. */
  matches(
    bytes: Uint8Array,
    from: number,
  ): { readonly length: number; readonly replacement: string }[];
}

/** An empty charsmap replaces nothing. */
const NOTHING: Charsmap = { matches: () => [] };

/**
 * Reads a precompiled charsmap.
 *
 * @throws NijimiError `format` when the trie does not fit its declared size
 */
export function parseCharsmap(data: Uint8Array): Charsmap {
  if (data.length === 0) return NOTHING;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const size = data.length >= 4 ? view.getUint32(0, true) : 0;
  if (size % 4 !== 0 || size === 0 || 4 + size > data.length)
    throw new NijimiError(
      "format",
      `charsmap: a trie of ${size} bytes in ${data.length} bytes of data; the file is damaged.`,
    );
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = data.subarray(4 + size);
  const decoder = new TextDecoder();
  const replacementAt = (offset: number): string => {
    const end = replacements.indexOf(0, offset);
    return decoder.decode(replacements.subarray(offset, end < 0 ? replacements.length : end));
  };

  return {
    matches(bytes, from) {
      const found: { length: number; replacement: string }[] = [];
      let node = offsetOf(units[0]);
      for (let at = from; at < bytes.length && bytes[at] !== 0; at++) {
        node ^= bytes[at];
        const unit = units[node];
        if (unit === undefined || (unit & 0x800000ff) !== bytes[at]) break;
        node ^= offsetOf(unit);
        if ((unit >>> 8) & 1)
          found.push({
            length: at + 1 - from,
            replacement: replacementAt((units[node] ?? 0) & 0x7fffffff),
          });
      }
      return found;
    },
  };
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/** A character, or what replaced several, on its way through sentencepiece's normaliser. */
interface Normalized {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** As sentencepiece applies it: at each place the longest prefix is replaced. */
export function normalizePrefixes(charsmap: Charsmap, aligned: AlignedText): AlignedText {
  const bytes = new TextEncoder().encode(aligned.text);
  const parts: Normalized[] = [];
  for (let at = 0, unit = 0; at < bytes.length;) {
    const longest = charsmap.matches(bytes, at).at(-1);
    const length = longest?.length ?? bytesOfCharacter(bytes[at]);
    const units = unitsIn(bytes, at, at + length);
    parts.push({
      text: longest?.replacement ?? aligned.text.slice(unit, unit + units),
      start: unit,
      end: unit + units,
    });
    at += length;
    unit += units;
  }
  return assemble(aligned, parts);
}

/**
 * As Hugging Face's tokenizers apply it: a grapheme of fewer than six bytes is replaced as a whole when the map has
 * any prefix of it, and by the shortest; otherwise character by character.
 */
export function normalizeGraphemes(charsmap: Charsmap, aligned: AlignedText): AlignedText {
  const encoder = new TextEncoder();
  const lookUp = (text: string): string | undefined =>
    charsmap.matches(encoder.encode(text), 0)[0]?.replacement;
  const parts: Normalized[] = [];
  const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
  for (const { segment, index } of graphemes.segment(aligned.text)) {
    const whole = encoder.encode(segment).length < 6 ? lookUp(segment) : undefined;
    if (whole !== undefined) {
      parts.push({ text: whole, start: index, end: index + segment.length });
      continue;
    }
    let start = index;
    for (const character of segment) {
      parts.push({ text: lookUp(character) ?? character, start, end: start + character.length });
      start += character.length;
    }
  }
  return assemble(aligned, parts);
}

function assemble(aligned: AlignedText, parts: readonly Normalized[]): AlignedText {
  const text = parts.map((part) => part.text).join("");
  const starts = new Int32Array(text.length);
  const ends = new Int32Array(text.length);
  let at = 0;
  for (const part of parts) {
    const [from, to] = originalSpan(aligned, part.start, part.end);
    for (let i = 0; i < part.text.length; i++, at++) {
      starts[at] = from;
      ends[at] = to;
    }
  }
  return { text, starts, ends };
}

/** Bytes of the character that a lead byte begins. */
function bytesOfCharacter(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** UTF-16 units of the characters that begin in a range of UTF-8. */
function unitsIn(bytes: Uint8Array, from: number, to: number): number {
  let units = 0;
  for (let i = from; i < to; i++) if ((bytes[i] & 0xc0) !== 0x80) units += bytes[i] >= 0xf0 ? 2 : 1;
  return units;
}
