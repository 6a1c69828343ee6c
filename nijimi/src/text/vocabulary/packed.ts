/**
 * The packed form of a byte-level BPE vocabulary: every merge is two ids below its own, so the merges in order are
 * the whole vocabulary. Four byte planes (left low, left high, right low, right high), deflated, base64.
 * Written by `scripts/make-vocabularies.ts`.
 */
import { inflateSync } from "fflate";
import { NijimiError } from "../../errors.ts";
import { createBpe, type Bpe, type Merge } from "../bpe.ts";
import { BYTE_CHARACTERS, BYTE_ORDER } from "../byte-alphabet.ts";

export interface PackedVocabulary {
  /** Suffixes of the byte symbols that come first: `[""]` for GPT-2, `["", "</w>"]` for CLIP. */
  readonly suffixes: readonly string[];
  /** Number of merges. */
  readonly merges: number;
  /** Tokens after the merges' own. */
  readonly special: readonly string[];
  /** SHA-256 of the merges as text: one a line, parts separated by a space. */
  readonly sha256: string;
  /** Base64 of the deflated planes. */
  readonly data: string;
}

/**
 * Unpacks a vocabulary.
 *
 * @throws NijimiError `format` when the data do not fit the number of merges
 */
export function unpackVocabulary({ suffixes, merges, special, data }: PackedVocabulary): Bpe {
  const planes = inflateSync(Uint8Array.from(atob(data), (character) => character.charCodeAt(0)));
  if (planes.length !== 4 * merges)
    throw new NijimiError(
      "format",
      `packed vocabulary: ${planes.length} bytes unpacked; ${merges} merges need ${4 * merges}.`,
    );
  const tokens = suffixes.flatMap((suffix) =>
    BYTE_ORDER.map((byte) => BYTE_CHARACTERS[byte] + suffix),
  );
  const pairs = Array.from({ length: merges }, (_, i): Merge => {
    const left = planes[i] | (planes[merges + i] << 8);
    const right = planes[2 * merges + i] | (planes[3 * merges + i] << 8);
    return [left, right, tokens.push(tokens[left] + tokens[right]) - 1];
  });
  return createBpe([...tokens, ...special], pairs);
}
