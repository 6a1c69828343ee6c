/**
 * GLIDE's tokenizer (Nichol et al. 2021, arXiv:2112.10741): GPT-2's BPE of the lower-cased text, without markers.
 * The network takes a fixed number of ids and a mask of those that are text; both come from {@link padWithMask}.
 */
import { align, lowerAligned } from "./aligned-text.ts";
import type { Bpe } from "./bpe.ts";
import { fromByteAlphabet } from "./byte-alphabet.ts";
import { createByteLevelEncoder } from "./byte-level.ts";
import { toWellFormed } from "./python-text.ts";
import { finishEncoding, type Tokenizer } from "./tokenizer.ts";

export interface GlideTokenizerOptions {
  /** `loadGpt2Vocabulary()` has GLIDE's. */
  readonly bpe: Bpe;
  /** How many ids the network takes. @default 128 */
  readonly maxLength?: number;
  /** Lower-case the text first, as GLIDE does and GPT-2 does not. @default true */
  readonly lowercase?: boolean;
}

/**
 * GLIDE's tokenizer; with `lowercase: false`, GPT-2's.
 *
 * @example
 * const tokenizer = createGlideTokenizer({ bpe: await loadGpt2Vocabulary() });
 * const { ids, mask } = padWithMask(tokenizer, tokenizer.encode("an oil painting of a corgi").ids);
 */
export function createGlideTokenizer({
  bpe,
  maxLength = 128,
  lowercase = true,
}: GlideTokenizerOptions): Tokenizer {
  const end = bpe.tokens.length - 1;
  const special = { padding: end };
  const encodeText = createByteLevelEncoder({ bpe, unknown: end });
  return {
    kind: "byte-level-bpe",
    vocabularySize: bpe.tokens.length,
    maxLength,
    special,
    encode(text, options) {
      const wellFormed = align(toWellFormed(text));
      const body = encodeText(lowercase ? lowerAligned(wellFormed) : wellFormed);
      return finishEncoding(body, { special, maxLength, end: text.length }, options);
    },
    decode(ids, { skipSpecialTokens = false } = {}) {
      const kept = Array.from(ids).filter((id) => !(skipSpecialTokens && id === end));
      return fromByteAlphabet(kept.map((id) => bpe.tokens[id] ?? "").join(""));
    },
    tokenOf: (id) => bpe.tokens[id],
    idOf: (token) => bpe.ids.get(token),
  };
}

/** Exactly `maxLength` ids, cut or padded, and which of them are text. */
export function padWithMask(
  { special, maxLength }: Pick<Tokenizer, "special" | "maxLength">,
  ids: readonly number[],
): { readonly ids: number[]; readonly mask: boolean[] } {
  const kept = ids.slice(0, maxLength);
  return {
    ids: [...kept, ...Array<number>(maxLength - kept.length).fill(special.padding)],
    mask: Array.from({ length: maxLength }, (_, i) => i < kept.length),
  };
}
