/**
 * Byte-level BPE over words: what GPT-2, GLIDE and CLIP share. A pattern cuts the text into words, a word's UTF-8
 * bytes are its symbols, and BPE merges them.
 */
import { originalSpan, type AlignedText, type Span } from "./aligned-text.ts";
import { mergeWord, type Bpe } from "./bpe.ts";
import { BYTE_CHARACTERS } from "./byte-alphabet.ts";
import { UNICODE_SPACE } from "./python-text.ts";
import type { Encoding } from "./tokenizer.ts";

/** GPT-2's words: a space belongs to the word after it. (GLIDE's too.) */
export const GPT2_WORDS = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${UNICODE_SPACE}\\p{L}\\p{N}]+|[${UNICODE_SPACE}]+(?![^${UNICODE_SPACE}])|[${UNICODE_SPACE}]+`;

/** Encodes cleaned text. */
export type ByteLevelEncoder = (text: AlignedText) => Encoding;

export interface ByteLevelOptions {
  readonly bpe: Bpe;
  /** Source of the pattern that finds words. @default {@link GPT2_WORDS} */
  readonly words?: string;
  /** Appended to a word's last symbol: `"</w>"` in CLIP. @default "" */
  readonly wordEnd?: string;
  /** Ids of words that are never taken apart. */
  readonly whole?: ReadonlyMap<string, number>;
  /** For symbols that the vocabulary lacks. */
  readonly unknown: number;
}

/** Ids of a word, and the byte at which each begins, and the number of bytes. */
interface WordPieces {
  readonly ids: readonly number[];
  readonly begins: readonly number[];
}

/** Words longer than this, in UTF-16 units, are not remembered. */
const LONGEST_CACHED = 32;
const CACHED_WORDS = 10_000;

/** Builds the tables once; remembers recent words. */
export function createByteLevelEncoder({
  bpe,
  words = GPT2_WORDS,
  wordEnd = "",
  whole,
  unknown,
}: ByteLevelOptions): ByteLevelEncoder {
  const symbolIds = (suffix: string): number[] =>
    BYTE_CHARACTERS.map((character) => bpe.ids.get(character + suffix) ?? unknown);
  const inner = symbolIds("");
  const last = symbolIds(wordEnd);
  const utf8 = new TextEncoder();
  const cache = new Map<string, WordPieces>();

  function encodeWord(word: string): WordPieces {
    const id = whole?.get(word);
    if (id !== undefined) return { ids: [id], begins: [0] };
    const known = cache.get(word);
    if (known) return known;
    const bytes = utf8.encode(word);
    const pieces = mergeWord(
      bpe,
      Array.from(bytes, (byte, i) => (i === bytes.length - 1 ? last : inner)[byte]),
    );
    let begin = 0;
    const begins = pieces.map(({ length }) => (begin += length) - length);
    const result = { ids: pieces.map((piece) => piece.id), begins };
    if (word.length <= LONGEST_CACHED) {
      if (cache.size >= CACHED_WORDS) cache.clear();
      cache.set(word, result);
    }
    return result;
  }

  return (text) => {
    const ids: number[] = [];
    const offsets: Span[] = [];
    for (const { 0: word, index } of text.text.matchAll(new RegExp(words, "gu"))) {
      const pieces = encodeWord(word);
      const units = unitsOfBytes(word);
      const bytes = units.length - 1;
      pieces.ids.forEach((id, i) => {
        const from = units[pieces.begins[i]];
        const lastByte = (pieces.begins[i + 1] ?? bytes) - 1;
        ids.push(id);
        offsets.push(originalSpan(text, index + from, index + endOfUnit(word, units[lastByte])));
      });
    }
    return { ids, offsets };
  };
}

/** For each UTF-8 byte of a word the UTF-16 unit at which its character begins; one more at the end. */
function unitsOfBytes(word: string): number[] {
  const units: number[] = [];
  for (let i = 0; i < word.length;) {
    const codePoint = word.codePointAt(i)!;
    const bytes = codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
    for (let k = 0; k < bytes; k++) units.push(i);
    i += codePoint < 0x10000 ? 1 : 2;
  }
  units.push(word.length);
  return units;
}

function endOfUnit(word: string, unit: number): number {
  return unit + (word.codePointAt(unit)! < 0x10000 ? 1 : 2);
}
