/** What every tokenizer of nijimi is: text to ids with their places in the text, and back. */
import { NijimiError } from "../errors.ts";
import type { Span } from "./aligned-text.ts";

/** Token ids of a text and, for each, the span of the text it stands for. */
export interface Encoding {
  readonly ids: readonly number[];
  /** UTF-16 units: `text.slice(start, end)`. Added tokens (start, end, padding) have an empty span. */
  readonly offsets: readonly Span[];
}

export interface EncodeOptions {
  /** Put the start and end tokens around the text, where the model has them. @default true */
  readonly specialTokens?: boolean;
  /** Most ids to return, special tokens included; the end token is kept. `null`: no limit. @default the tokenizer's `maxLength` */
  readonly maxLength?: number | null;
  /** Fill up to `maxLength` with the padding token. @default false */
  readonly padding?: boolean;
}

export interface DecodeOptions {
  /** Leave out start, end, padding and unknown tokens. @default false */
  readonly skipSpecialTokens?: boolean;
}

/** Ids of the tokens with a meaning of their own; absent where the model has none. */
export interface SpecialIds {
  readonly start?: number;
  readonly end?: number;
  readonly padding: number;
  readonly unknown?: number;
}

/** Text to token ids and back. Plain functions over tables: no state, safe to share. */
export interface Tokenizer {
  /** Which family: `"clip"`, `"byte-level-bpe"`, `"unigram"`. */
  readonly kind: string;
  /** One more than the largest id. */
  readonly vocabularySize: number;
  /** How many ids the model takes; Infinity where it has no limit. */
  readonly maxLength: number;
  readonly special: SpecialIds;
  encode(text: string, options?: EncodeOptions): Encoding;
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /** The token with this id, as the vocabulary spells it; undefined where there is none. */
  tokenOf(id: number): string | undefined;
  /** The id of a token as the vocabulary spells it. */
  idOf(token: string): number | undefined;
}

/** Adds start and end, cuts to the wanted length keeping the end, and pads. */
export function finishEncoding(
  body: Encoding,
  {
    special,
    maxLength: modelLength,
    end,
  }: { readonly special: SpecialIds; readonly maxLength: number; readonly end: number },
  { specialTokens = true, maxLength = modelLength, padding = false }: EncodeOptions = {},
): Encoding {
  const limit = maxLength ?? Infinity;
  if (!(limit >= 0))
    throw new NijimiError(
      "option",
      `encode: maxLength must be a number ≥ 0 or null; got ${maxLength}.`,
    );
  if (padding && limit === Infinity)
    throw new NijimiError(
      "option",
      "encode: padding needs a maxLength; this model has none of its own.",
    );
  const before = specialTokens && special.start !== undefined ? [special.start] : [];
  const after = specialTokens && special.end !== undefined ? [special.end] : [];
  const room = Math.max(0, limit - before.length - after.length);
  const kept = body.ids.slice(0, room);
  const last = kept.length > 0 ? body.offsets[kept.length - 1][1] : 0;
  const place: Span = [
    kept.length === body.ids.length ? end : last,
    kept.length === body.ids.length ? end : last,
  ];
  const ids = [...before, ...kept, ...after].slice(0, limit);
  const offsets: Span[] = [
    ...before.map((): Span => [0, 0]),
    ...body.offsets.slice(0, room),
    ...after.map((): Span => place),
  ].slice(0, limit);
  if (padding) {
    offsets.push(...Array.from({ length: limit - ids.length }, () => place));
    ids.push(...Array.from({ length: limit - ids.length }, () => special.padding));
  }
  return { ids, offsets };
}

/** Encodings one after the other. */
export function joinEncodings(encodings: readonly Encoding[]): Encoding {
  if (encodings.length === 1) return encodings[0];
  return {
    ids: encodings.flatMap(({ ids }) => ids),
    offsets: encodings.flatMap(({ offsets }) => offsets),
  };
}
