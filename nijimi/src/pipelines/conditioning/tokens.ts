/** Prompts to token ids, in either grammar, with the words of textual inversion. */
import type { LoadedTextualInversion } from "../../checkpoints/adapters/textual-inversion.ts";
import { NijimiError } from "../../errors.ts";
import { chunkPrompt, type TokenChunk } from "../../text/prompt/chunks.ts";
import type { PromptGrammar } from "../../text/prompt/plan.ts";
import { embeddingTokens, spellOutEmbeddings } from "../../text/textual-inversion.ts";
import type { AddedToken } from "../../text/added-tokens.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { toFloat32 } from "../../tensor/convert.ts";

/** A tokenizer that can be made with more words. */
export type MakeTokenizer = (addedTokens: readonly AddedToken[]) => Tokenizer;

/** An embedding's vectors for one text encoder. */
export interface WordVectors {
  readonly word: string;
  /** [n][width] */
  readonly vectors: readonly Float32Array[];
}

/** Ids of one text: chunks of as many ids each, with weights and the vectors that replace tokens. */
export interface TokenisedText {
  readonly chunks: readonly {
    readonly ids: readonly number[];
    readonly weights: readonly number[];
    readonly vectors: readonly { readonly position: number; readonly vector: Float32Array }[];
  }[];
  /** Ids that did not fit and were cut off (plain grammar). */
  readonly truncated: number;
}

/** Turns texts into ids. */
export interface PromptTokeniser {
  tokenise(text: string, grammar: PromptGrammar, emphasis: boolean): TokenisedText;
  /** The empty chunk, for filling up. */
  readonly empty: TokenisedText["chunks"][number];
}

/** Ids of a chunk between its markers, where the tokenizer takes as many. */
const CHUNK_LENGTH = 75;
/** Prompts of more ids are refused: each 75 of them cost an encoder run and lengthen the context of every step. */
const MAX_IDS = CHUNK_LENGTH * 32;

/** Vectors of an embedding for the text encoder `encoder`. */
export async function wordVectors(
  word: string,
  { vectors, name }: Pick<LoadedTextualInversion, "vectors" | "name">,
  encoder: string,
  width: number,
): Promise<WordVectors> {
  const entry = vectors[encoder];
  if (entry === undefined || entry.shape[1] !== width)
    throw new NijimiError(
      "checkpoint",
      `${name} holds an embedding of width ${entry?.shape[1] ?? "none"} for ${encoder}; this model's is ${width}. It was made for another model.`,
    );
  const [count] = entry.shape;
  const data = toFloat32(await entry.read());
  const rows = Array.from({ length: count }, (_, i) => data.slice(i * width, (i + 1) * width));
  return { word, vectors: rows };
}

/** The tokeniser of one text encoder. */
export function promptTokeniser(
  make: MakeTokenizer,
  words: readonly WordVectors[],
): PromptTokeniser {
  const plain = make([]);
  const vectorOf = new Map<number, Float32Array>();
  const tokens: AddedToken[] = [];
  for (const { word, vectors } of words) {
    const own = embeddingTokens(word, vectors.length, plain.vocabularySize + tokens.length);
    own.forEach(({ id }, i) => vectorOf.set(id, vectors[i]));
    tokens.push(...own);
  }
  const extended = tokens.length === 0 ? plain : make(tokens);
  const named = words.map(({ word, vectors }) => ({
    name: word,
    ids: plain.encode(word, { specialTokens: false, maxLength: null }).ids,
    vectors: vectors.length,
  }));
  const byWord = new Map(words.map(({ word, vectors }) => [word, vectors]));
  const ofChunk = ({ ids, weights, embeddings }: TokenChunk) => ({
    ids,
    weights,
    vectors: embeddings.flatMap(({ offset, name }) =>
      (byWord.get(name) ?? []).map((vector, i) => ({ position: offset + i, vector })),
    ),
  });
  const weighted = (text: string, emphasis: boolean): TokenisedText => {
    const { chunks, tokens: count } = chunkPrompt(text, {
      tokenizer: plain,
      chunkLength: Math.min(CHUNK_LENGTH, plain.maxLength - 2),
      embeddings: named,
      emphasis,
    });
    checkLength(count);
    return { chunks: chunks.map(ofChunk), truncated: 0 };
  };
  const cut = (text: string): TokenisedText => {
    const spelled = spellOutEmbeddings(text, tokens);
    const all = extended.encode(spelled, { maxLength: null }).ids.length;
    checkLength(all);
    const found = extended.encode(spelled, { padding: true }).ids;
    const vectors = found.flatMap((id, position) => {
      const vector = vectorOf.get(id);
      return vector === undefined ? [] : [{ position, vector }];
    });
    const ids = found.map((id) => (vectorOf.has(id) ? 0 : id));
    const truncated = Math.max(0, all - extended.maxLength);
    return { chunks: [{ ids, weights: ids.map(() => 1), vectors }], truncated };
  };
  return {
    tokenise: (text, grammar, emphasis) =>
      grammar === "plain" ? cut(text) : weighted(text, emphasis),
    empty: weighted("", false).chunks[0],
  };
}

function checkLength(ids: number): void {
  if (ids > MAX_IDS)
    throw new NijimiError(
      "option",
      `The prompt has ${ids} tokens; at most ${MAX_IDS} are taken. Shorten it.`,
    );
}
