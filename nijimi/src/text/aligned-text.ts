/**
 * Text that remembers where it came from: each UTF-16 unit carries the span of the original text it stands for.
 *
 * Cleaning (normalisation, entity decoding, lower-casing …) is a chain of functions on aligned text, so that
 * a token found at the end can be pointed out in what the user typed.
 */
import { trimEndPython, trimPython } from "./python-text.ts";

/** A span [start, end) of the original text in UTF-16 units. */
export type Span = readonly [start: number, end: number];

/** A text and, per UTF-16 unit, its span in the original; without `starts` and `ends` the text is the original itself. */
export interface AlignedText {
  readonly text: string;
  readonly starts?: Int32Array;
  readonly ends?: Int32Array;
}

/** The original text, aligned with itself. */
export function align(text: string): AlignedText {
  return { text };
}

/** The original span of `[from, to)` of an aligned text; an empty range is an empty span at its place. */
export function originalSpan({ text, starts, ends }: AlignedText, from: number, to: number): Span {
  if (!starts || !ends) return [from, to];
  if (from >= to) {
    const at = from < text.length ? starts[from] : (ends[text.length - 1] ?? 0);
    return [at, at];
  }
  return [starts[from], ends[to - 1]];
}

/** The part `[from, to)` of an aligned text, still aligned with the whole original. */
export function sliceAligned(aligned: AlignedText, from: number, to: number): AlignedText {
  const starts = new Int32Array(to - from);
  const ends = new Int32Array(to - from);
  for (let i = from; i < to; i++) {
    starts[i - from] = aligned.starts ? aligned.starts[i] : i;
    ends[i - from] = aligned.ends ? aligned.ends[i] : i + 1;
  }
  return { text: aligned.text.slice(from, to), starts, ends };
}

/** The parts, joined. */
export function joinAligned(parts: readonly AlignedText[]): AlignedText {
  const text = parts.map((part) => part.text).join("");
  const starts = new Int32Array(text.length);
  const ends = new Int32Array(text.length);
  let at = 0;
  for (const part of parts) {
    for (let i = 0; i < part.text.length; i++, at++) {
      starts[at] = part.starts ? part.starts[i] : i;
      ends[at] = part.ends ? part.ends[i] : i + 1;
    }
  }
  return { text, starts, ends };
}

/**
 * `text.replace(pattern, replacement)`; every unit of a replacement stands for the whole match.
 *
 * @param pattern a global regular expression
 */
export function replaceAligned(
  aligned: AlignedText,
  pattern: RegExp,
  replacement: (match: string) => string,
): AlignedText {
  const edits: { at: number; length: number; by: string }[] = [];
  for (const match of aligned.text.matchAll(pattern)) {
    const by = replacement(match[0]);
    if (by !== match[0]) edits.push({ at: match.index, length: match[0].length, by });
  }
  if (edits.length === 0) return aligned;
  const length = edits.reduce(
    (sum, { length, by }) => sum - length + by.length,
    aligned.text.length,
  );
  const starts = new Int32Array(length);
  const ends = new Int32Array(length);
  const pieces: string[] = [];
  let read = 0;
  let write = 0;
  const keepUntil = (end: number): void => {
    pieces.push(aligned.text.slice(read, end));
    for (; read < end; read++, write++) {
      starts[write] = aligned.starts ? aligned.starts[read] : read;
      ends[write] = aligned.ends ? aligned.ends[read] : read + 1;
    }
  };
  for (const { at, length, by } of edits) {
    keepUntil(at);
    const [start, end] = originalSpan(aligned, at, at + length);
    pieces.push(by);
    starts.fill(start, write, write + by.length);
    ends.fill(end, write, write + by.length);
    write += by.length;
    read = at + length;
  }
  keepUntil(aligned.text.length);
  return { text: pieces.join(""), starts, ends };
}

/** `after` in place of the text; what differs between their common beginning and end stands for all that differed. */
export function rewriteAligned(aligned: AlignedText, after: string): AlignedText {
  const before = aligned.text;
  if (after === before) return aligned;
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < shorter - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail++;
  const middle = after.slice(head, after.length - tail);
  const [start, end] = originalSpan(aligned, head, before.length - tail);
  return joinAligned([
    sliceAligned(aligned, 0, head),
    {
      text: middle,
      starts: new Int32Array(middle.length).fill(start),
      ends: new Int32Array(middle.length).fill(end),
    },
    sliceAligned(aligned, before.length - tail, before.length),
  ]);
}

/** Unicode normalisation; every base character with its marks is a unit of its own where that gives the same text. */
export function normalizeAligned(
  aligned: AlignedText,
  form: "NFC" | "NFD" | "NFKC" | "NFKD",
): AlignedText {
  const whole = aligned.text.normalize(form);
  if (whole === aligned.text) return aligned;
  const parts = replaceAligned(aligned, CLUSTER, (cluster) => cluster.normalize(form));
  return parts.text === whole ? parts : rewriteAligned(aligned, whole);
}

/** What can interact in normalisation: a Hangul syllable's letters, or a character and the marks after it. */
const CLUSTER = /[\u1100-\u1112\uac00-\ud7a3][\u1161-\u1175\u11a8-\u11c2]*|\P{M}?\p{M}+|\P{M}/gu;

/**
 * Lower case of the whole text, as Python has it (a final capital sigma becomes ς).
 *
 * @param perCharacter as Rust has it: each character by itself. @default false
 */
export function lowerAligned(aligned: AlignedText, perCharacter = false): AlignedText {
  const whole = aligned.text.toLowerCase();
  if (whole === aligned.text) return aligned;
  const parts = replaceAligned(aligned, /\P{Ll}/gu, (character) => character.toLowerCase());
  if (perCharacter || parts.text === whole) return parts;
  return parts.text.length === whole.length
    ? { ...parts, text: whole }
    : rewriteAligned(aligned, whole);
}

/** The text without Python's white space at both ends. */
export function trimAligned(aligned: AlignedText): AlignedText {
  const { text } = aligned;
  const end = trimEndPython(text).length;
  const start = end - trimPython(text).length;
  return start === 0 && end === text.length ? aligned : sliceAligned(aligned, start, end);
}
