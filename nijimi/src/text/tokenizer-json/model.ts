/** Models of a `tokenizer.json`: from a word to tokens. */
import { NijimiError } from "../../errors.ts";
import { originalSpan, type AlignedText, type Span } from "../aligned-text.ts";
import { parseBpe } from "../bpe-files.ts";
import { createByteLevelEncoder, GPT2_WORDS } from "../byte-level.ts";
import {
  array,
  boolean,
  index,
  number,
  object,
  string,
  type Json,
  type JsonObject,
} from "../json-values.ts";
import type { Encoding } from "../tokenizer.ts";
import { createUnigram } from "../unigram.ts";
import { readPart } from "./steps.ts";

export interface Model {
  /** As {@link Tokenizer.kind}. */
  readonly kind: string;
  readonly ids: ReadonlyMap<string, number>;
  readonly unknown: number | undefined;
  encode(word: AlignedText): Encoding;
}

/** Reads the model; a BPE needs to know its pre-tokenizer, which must be byte-level. */
export function readModel(json: Json | undefined, preTokenizer: Json | undefined): Model {
  return readPart<Model>("model", json, {
    Unigram: unigramModel,
    BPE: (model) => byteLevelModel(model, preTokenizer),
  });
}

function unigramModel({ vocab, unk_id, byte_fallback }: JsonObject): Model {
  if (byte_fallback === true)
    throw new NijimiError(
      "unsupported",
      "tokenizer.json: a Unigram model with byte fallback is not read.",
    );
  const pieces = array(vocab, "vocab").map((entry, id) => {
    const [text, score] = array(entry, `vocab entry ${id}`);
    return {
      text: string(text, `text of piece ${id}`),
      score: number(score, `score of piece ${id}`),
    };
  });
  const unknown = index(unk_id, "unk_id");
  const cut = createUnigram({ pieces, unknown });
  return {
    kind: "unigram",
    ids: new Map(pieces.map(({ text }, id) => [text, id])),
    unknown,
    encode(word) {
      let at = 0;
      const found = cut(word.text);
      return {
        ids: found.map(({ id }) => id),
        offsets: found.map(({ length }): Span => originalSpan(word, at, (at += length))),
      };
    },
  };
}

function byteLevelModel(
  { vocab, merges, unk_token, end_of_word_suffix }: JsonObject,
  preTokenizer: Json | undefined,
): Model {
  const byteLevel = findByteLevel(preTokenizer);
  if (!byteLevel)
    throw new NijimiError(
      "unsupported",
      "tokenizer.json: a BPE model whose pre_tokenizer is not ByteLevel is not read.",
    );
  const bpe = parseBpe(vocab ?? null, merges ?? null);
  const unknown = typeof unk_token === "string" ? bpe.ids.get(unk_token) : undefined;
  const encode = createByteLevelEncoder({
    bpe,
    words: boolean(byteLevel.use_regex ?? true, "use_regex") ? GPT2_WORDS : "[^]+",
    wordEnd: string(end_of_word_suffix ?? "", "end_of_word_suffix"),
    unknown: unknown ?? 0,
  });
  return { kind: "byte-level-bpe", ids: bpe.ids, unknown, encode };
}

function findByteLevel(json: Json | undefined): JsonObject | undefined {
  if (json === null || json === undefined) return undefined;
  const part = object(json, "pre_tokenizer");
  if (part.type === "ByteLevel") return part;
  if (part.type !== "Sequence") return undefined;
  return array(part.pretokenizers, "pretokenizers")
    .map(findByteLevel)
    .find((found) => found !== undefined);
}
