/**
 * CLIP's tokenizer (Radford et al. 2021, arXiv:2103.00020): byte-level BPE over 49,152 lower-case word pieces, a
 * marker at each end, 77 ids. Which of its four published programs is followed is an option; see `clip-cleaning.ts`.
 */
import { unknownName } from "../errors.ts";
import { createSplitter, escapeRegExp, type AddedToken } from "./added-tokens.ts";
import { align, type AlignedText, type Span } from "./aligned-text.ts";
import type { Bpe } from "./bpe.ts";
import { fromByteAlphabet } from "./byte-alphabet.ts";
import { createByteLevelEncoder } from "./byte-level.ts";
import { CLIP_CLEANINGS, createCleaner, type ClipCleaning } from "./clip-cleaning.ts";
import { toWellFormed, UNICODE_SPACE } from "./python-text.ts";
import { finishEncoding, joinEncodings, type Encoding, type Tokenizer } from "./tokenizer.ts";

export interface ClipTokenizerOptions {
  /** Vocabulary and merges, of which start and end marker are part; `loadClipVocabulary()` has CLIP's own. */
  readonly bpe: Bpe;
  /** Whose ids are wanted. @default "transformers" */
  readonly cleaning?: ClipCleaning;
  /** As the vocabulary spells it. @default "<|startoftext|>" */
  readonly startToken?: string;
  /** As the vocabulary spells it. @default "<|endoftext|>" */
  readonly endToken?: string;
  /** `"!"` (id 0) in Stable Diffusion 2 and in SDXL's second encoder. @default the end token */
  readonly paddingToken?: string;
  /** Tokens found in the text as they are, such as the words of textual inversion; transformers only. @default [] */
  readonly addedTokens?: readonly AddedToken[];
  /** @default 77 */
  readonly maxLength?: number;
}

/** A number stands alone, letters and other signs stick together; the markers and English endings come first. */
const WORDS = (markers: readonly string[], s: string): string =>
  [
    ...markers,
    `'${s}`,
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "\\p{L}+",
    "\\p{N}",
    `[^${UNICODE_SPACE}\\p{L}\\p{N}]+`,
  ].join("|");

/**
 * A CLIP tokenizer over the given vocabulary.
 *
 * @example
 * const tokenizer = createClipTokenizer({ bpe: await loadClipVocabulary() });
 * tokenizer.encode("a photo of a cat").ids; // [49406, 320, 1125, 539, 320, 2368, 49407]
 */
export function createClipTokenizer(options: ClipTokenizerOptions): Tokenizer {
  const {
    bpe,
    cleaning = "transformers",
    startToken = "<|startoftext|>",
    endToken = "<|endoftext|>",
    maxLength = 77,
  } = options;
  const { paddingToken = endToken } = options;
  if (!CLIP_CLEANINGS.includes(cleaning))
    throw unknownName("CLIP cleaning", cleaning, CLIP_CLEANINGS);
  const [start, end] = [markerId(bpe, startToken), markerId(bpe, endToken)];
  const findsAdded = cleaning.startsWith("transformers");
  // For transformers the markers are added tokens too: the text is cut at them before it is cleaned.
  const own = findsAdded
    ? [
        { content: startToken, id: start, normalized: true },
        { content: endToken, id: end, normalized: true },
      ]
    : [];
  const given = options.addedTokens ?? [];
  const addedTokens: readonly AddedToken[] = [
    ...own.filter(({ content }) => given.every((token) => token.content !== content)),
    ...given,
  ];
  const byContent = new Map(addedTokens.map((token) => [token.content, token.id]));
  const padding = byContent.get(paddingToken) ?? markerId(bpe, paddingToken);
  const special = { start, end, padding, unknown: end };

  const markers =
    cleaning === "open_clip" ? ["<start_of_text>", "<end_of_text>"] : [startToken, endToken];
  const encodeText = createByteLevelEncoder({
    bpe,
    words: WORDS(markers.map(escapeRegExp), cleaning === "transformers-fast" ? "s" : "[sſ]"),
    wordEnd: "</w>",
    whole: new Map([
      [markers[0], start],
      [markers[1], end],
    ]),
    unknown: end,
  });
  const clean = createCleaner(cleaning);
  const fast = cleaning === "transformers-fast";
  const split = createSplitter(
    findsAdded ? (fast ? addedTokens.filter((token) => !token.normalized) : addedTokens) : [],
  );
  const splitCleaned = createSplitter(
    fast
      ? addedTokens
          .filter((token) => token.normalized)
          .map((token) => ({ ...token, content: clean(align(token.content)).text }))
      : [],
  );

  function encodePart(text: AlignedText): Encoding[] {
    return splitCleaned(clean(text)).map((part) =>
      part.token ? tokenEncoding(part.token, part.text) : encodeText(part.text),
    );
  }

  const tokenById = new Map([
    [start, markers[0]],
    [end, markers[1]],
    ...addedTokens.map(({ id, content }): [number, string] => [id, content]),
  ]);
  const tokenOf = (id: number): string | undefined => tokenById.get(id) ?? bpe.tokens[id];
  const hidden = new Set([
    start,
    end,
    padding,
    ...addedTokens.filter((token) => token.special).map((token) => token.id),
  ]);

  return {
    kind: "clip",
    vocabularySize: addedTokens.reduce((size, { id }) => Math.max(size, id + 1), bpe.tokens.length),
    maxLength,
    special,
    encode(text, encodeOptions) {
      const parts = split(align(toWellFormed(text)));
      const encodings = parts.flatMap((part) =>
        part.token ? [tokenEncoding(part.token, part.text)] : encodePart(part.text),
      );
      return finishEncoding(
        joinEncodings(encodings),
        { special, maxLength, end: text.length },
        encodeOptions,
      );
    },
    decode(ids, { skipSpecialTokens = false } = {}) {
      const tokens = Array.from(ids).flatMap((id) =>
        skipSpecialTokens && hidden.has(id) ? [] : [tokenOf(id) ?? ""],
      );
      const text = fromByteAlphabet(tokens.join("")).replaceAll("</w>", " ");
      return findsAdded ? text.trim() : text;
    },
    tokenOf,
    idOf: (token) => byContent.get(token) ?? bpe.ids.get(token),
  };
}

function tokenEncoding(token: AddedToken, { starts, ends, text }: AlignedText): Encoding {
  const span: Span = [starts?.[0] ?? 0, ends?.[text.length - 1] ?? text.length];
  return { ids: [token.id], offsets: [span] };
}

function markerId(bpe: Bpe, token: string): number {
  const id = bpe.ids.get(token);
  if (id === undefined) throw unknownName("token", token, bpe.tokens.slice(-8));
  return id;
}
