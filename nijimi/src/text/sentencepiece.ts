/**
 * sentencepiece models (Kudo & Richardson 2018, arXiv:1808.06226), as in T5's `spiece.model`: the protobuf file,
 * its normaliser, and the unigram model over the result.
 *
 * Two programs read such files: sentencepiece itself, and transformers' `T5Tokenizer`, which finds its sentinels
 * (`<extra_id_0>` …) first and puts a word boundary before the text only, not after each sentinel.
 */
import { NijimiError } from "../errors.ts";
import { createSplitter, type AddedToken, type TextPart } from "./added-tokens.ts";
import {
  align,
  joinAligned,
  originalSpan,
  replaceAligned,
  type AlignedText,
  type Span,
} from "./aligned-text.ts";
import { normalizePrefixes, parseCharsmap, type Charsmap } from "./charsmap.ts";
import { float32Of, readFields, textOf } from "./protobuf.ts";
import { toWellFormed } from "./python-text.ts";
import { finishEncoding, joinEncodings, type Encoding, type Tokenizer } from "./tokenizer.ts";
import { createUnigram, type UnigramPiece } from "./unigram.ts";

/** sentencepiece's mark for a space. */
export const SPACE_MARK = "▁";

/** Kinds of piece, numbered as in the file. */
const KINDS = ["", "normal", "unknown", "control", "user-defined", "unused", "byte"] as const;
const MODELS = ["", "unigram", "bpe", "word", "char"] as const;

/** What a model file says. */
export interface SentencePieceModel {
  readonly pieces: readonly (UnigramPiece & { readonly kind: (typeof KINDS)[number] })[];
  readonly charsmap: Charsmap;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
  /** Ids; −1 where the model has none. */
  readonly unknown: number;
  readonly end: number;
  readonly padding: number;
}

/**
 * Reads a sentencepiece model file.
 *
 * @throws NijimiError `format` when the file is damaged, `unsupported` for models that are not unigram
 */
export function parseSentencePieceModel(file: Uint8Array): SentencePieceModel {
  const pieces: SentencePieceModel["pieces"][number][] = [];
  let charsmap: Charsmap = parseCharsmap(new Uint8Array(0));
  const flags = new Map([
    [3, 1],
    [4, 1],
    [5, 1],
  ]); // normaliser: dummy prefix, extra white space, escaping
  const ids = new Map([
    [3, 1],
    [35, 0],
    [40, 0],
    [42, 2],
    [43, -1],
  ]); // trainer: model, byte fallback, unknown, end, padding
  for (const field of readFields(file)) {
    if (field.number === 1) pieces.push(parsePiece(field.bytes));
    if (field.number === 2)
      for (const { number, value } of readFields(field.bytes))
        if (ids.has(number)) ids.set(number, toInt32(value));
    if (field.number === 3)
      for (const { number, value, bytes } of readFields(field.bytes)) {
        if (number === 2) charsmap = parseCharsmap(bytes);
        if (flags.has(number)) flags.set(number, value);
      }
  }
  const model = MODELS[ids.get(3)!];
  if (model !== "unigram" || ids.get(35) === 1)
    throw new NijimiError(
      "unsupported",
      `sentencepiece: a ${model || "unknown"} model${ids.get(35) === 1 ? " with byte fallback" : ""}; only unigram models without byte fallback are read.`,
    );
  const unknown = pieces.findIndex(({ kind }) => kind === "unknown");
  if (pieces.length === 0 || unknown < 0)
    throw new NijimiError(
      "format",
      `sentencepiece: ${pieces.length} pieces${unknown < 0 ? " and none for unknown text" : ""}; this is not a sentencepiece model.`,
    );
  return {
    pieces,
    charsmap,
    addDummyPrefix: flags.get(3) !== 0,
    removeExtraWhitespaces: flags.get(4) !== 0,
    escapeWhitespaces: flags.get(5) !== 0,
    unknown,
    end: validId(ids.get(42)!, pieces.length),
    padding: validId(ids.get(43)!, pieces.length),
  };
}

function parsePiece(message: Uint8Array): SentencePieceModel["pieces"][number] {
  let [text, score, kind] = ["", 0, 1];
  for (const field of readFields(message)) {
    if (field.number === 1) text = textOf(field);
    if (field.number === 2) score = float32Of(field);
    if (field.number === 3) kind = field.value;
  }
  const name = KINDS[kind];
  if (!name)
    throw new NijimiError(
      "format",
      `sentencepiece: piece ${JSON.stringify(text)} has type ${kind}; expected 1 to 6.`,
    );
  return { text, score, kind: name, matchable: kind === 1 || kind === 4, userDefined: kind === 4 };
}

/** Negative int32 values are written as 64-bit varints. */
function toInt32(value: number): number {
  return value >= 2 ** 63 ? -1 : value;
}

function validId(id: number, pieces: number): number {
  return id < pieces ? id : -1;
}

export interface SentencePieceOptions {
  readonly model: SentencePieceModel;
  /** Whose ids are wanted: the library's, or those of transformers' `T5Tokenizer` (legacy = false). @default "t5" */
  readonly flavour?: "sentencepiece" | "t5";
  /** T5's sentinels after the model's pieces, `<extra_id_0>` last; for `"t5"` only. @default 100 */
  readonly extraIds?: number;
  /** Further tokens, or other flags for the sentinels and control pieces; for `"t5"` only. */
  readonly addedTokens?: readonly AddedToken[];
  /** @default Infinity */
  readonly maxLength?: number;
}

/**
 * A tokenizer from a sentencepiece model.
 *
 * @example
 * const tokenizer = createSentencePieceTokenizer({ model: parseSentencePieceModel(bytes) });
 */
export function createSentencePieceTokenizer(options: SentencePieceOptions): Tokenizer {
  const { model, flavour = "t5", extraIds = 100, maxLength = Infinity } = options;
  const { pieces, unknown } = model;
  const added = flavour === "t5" ? t5Tokens(model, extraIds, options.addedTokens ?? []) : [];
  const split = createSplitter(added);
  const cut = createUnigram({ pieces, unknown, single: true });
  const special = {
    ...(model.end >= 0 && { end: model.end }),
    padding: model.padding >= 0 ? model.padding : Math.max(0, model.end),
    unknown,
  };

  function encodeSegment(segment: AlignedText, prefix: boolean): Encoding {
    const text = prepare(segment, model, prefix);
    let at = 0;
    const found = cut(text.text);
    return {
      ids: found.map(({ id }) => id),
      offsets: found.map(({ length }): Span => originalSpan(text, at, (at += length))),
    };
  }

  /** A T5 segment has a word boundary in front when it is the first, or begins with white space. */
  function encodePart(part: TextPart, index: number): Encoding {
    if (part.token)
      return { ids: [part.token.id], offsets: [originalSpan(part.text, 0, part.text.text.length)] };
    return encodeSegment(part.text, index === 0 || part.text.text.startsWith(" "));
  }

  /** An end token that is already there is not added again. */
  function encodeT5(text: AlignedText): Encoding {
    const spaced = replaceAligned(text, /▁/g, () => " ");
    const { ids, offsets } = joinEncodings(split(spaced).map(encodePart));
    const kept = ids.at(-1) === model.end ? ids.length - 1 : ids.length;
    return { ids: ids.slice(0, kept), offsets: offsets.slice(0, kept) };
  }

  const addedById = new Map(added.map((token) => [token.id, token]));
  const idByText = new Map([
    ...added.map(({ content, id }): [string, number] => [content, id]),
    ...pieces.map(({ text }, id): [string, number] => [text, id]),
  ]);
  const isHidden = (id: number): boolean =>
    addedById.get(id)?.special ?? (pieces[id]?.kind === "control" || id === unknown);
  return {
    kind: "unigram",
    vocabularySize: added.reduce((size, { id }) => Math.max(size, id + 1), pieces.length),
    maxLength,
    special,
    encode(text, encodeOptions) {
      const wellFormed = align(toWellFormed(text));
      const body =
        flavour === "t5" ? encodeT5(wellFormed) : encodeSegment(wellFormed, model.addDummyPrefix);
      return finishEncoding(body, { special, maxLength, end: text.length }, encodeOptions);
    },
    decode(ids, { skipSpecialTokens = false } = {}) {
      const shown = Array.from(ids).filter((id) => !(skipSpecialTokens && isHidden(id)));
      const text = shown.map((id) => addedById.get(id)?.content ?? pieces[id]?.text ?? "").join("");
      return text.replaceAll(SPACE_MARK, " ").replace(/^ /, "");
    },
    tokenOf: (id) => addedById.get(id)?.content ?? pieces[id]?.text,
    idOf: (token) => idByText.get(token),
  };
}

/** Control pieces, sentinels with T5's flags, and what the caller says of them. */
function t5Tokens(
  { pieces }: SentencePieceModel,
  extraIds: number,
  given: readonly AddedToken[],
): AddedToken[] {
  const reserved = pieces.flatMap(({ text, kind }, id) =>
    kind === "control" || kind === "unknown" ? [{ content: text, id, special: true }] : [],
  );
  const sentinels = Array.from({ length: extraIds }, (_, i) => ({
    content: `<extra_id_${i}>`,
    id: pieces.length + extraIds - 1 - i,
    special: true,
    lstrip: true,
    rstrip: true,
  }));
  const byContent = new Map<string, AddedToken>(
    [...reserved, ...sentinels, ...given].map((token) => [token.content, token]),
  );
  return [...byContent.values()];
}

/** sentencepiece's normaliser: the charsmap, then spaces as marks, none doubled, none at the end, one in front. */
function prepare(segment: AlignedText, model: SentencePieceModel, prefix: boolean): AlignedText {
  const mapped = normalizePrefixes(model.charsmap, segment);
  const trimmed = model.removeExtraWhitespaces ? collapseSpaces(mapped) : mapped;
  const marked = model.escapeWhitespaces
    ? replaceAligned(trimmed, / /g, () => SPACE_MARK)
    : trimmed;
  if (marked.text === "" || !prefix) return marked;
  const mark = model.escapeWhitespaces ? SPACE_MARK : " ";
  const [start] = originalSpan(marked, 0, 1);
  return joinAligned([
    { text: mark, starts: Int32Array.of(start), ends: Int32Array.of(start) },
    marked,
  ]);
}

function collapseSpaces(text: AlignedText): AlignedText {
  const single = replaceAligned(text, / {2,}/g, () => " ");
  return replaceAligned(
    replaceAligned(single, /^ /g, () => ""),
    / $/g,
    () => "",
  );
}
