/**
 * Prompts longer than CLIP takes, as the A1111 web UI encodes them: chunks of 75 ids between markers, cut at a comma
 * where one is near, each encoded by itself and joined along the length; every id has a weight.
 */
import { NijimiError } from "../../errors.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { BREAK, parseAttention, type WeightedText } from "./attention.ts";

/** Where an embedding's vectors replace the ids of a chunk. */
export interface EmbeddingPlace {
  /** Index into the chunk's ids, markers included. */
  readonly offset: number;
  readonly name: string;
}

/** What the text encoder takes: `chunkLength + 2` ids and the weight of each. */
export interface TokenChunk {
  readonly ids: readonly number[];
  readonly weights: readonly number[];
  readonly embeddings: readonly EmbeddingPlace[];
}

/** An embedding that a prompt can name, recognised by the ids of its name. */
export interface NamedEmbedding {
  readonly name: string;
  readonly ids: readonly number[];
  /** How many vectors it has, each in the place of one id. */
  readonly vectors: number;
}

export interface ChunkOptions {
  readonly tokenizer: Tokenizer;
  /** Ids of a chunk without its markers. @default 75 */
  readonly chunkLength?: number;
  /** A chunk may end at a comma up to this many ids before its end; 0: it never does. @default 20 */
  readonly commaBacktrack?: number;
  /** Read `(word:1.3)` and BREAK; otherwise brackets are text and every weight is 1. @default true */
  readonly emphasis?: boolean;
  /** @default [] */
  readonly embeddings?: readonly NamedEmbedding[];
}

export interface ChunkedPrompt {
  /** At least one. */
  readonly chunks: readonly TokenChunk[];
  /** Ids of the prompt; chunks that are not the last count as full. */
  readonly tokens: number;
}

/**
 * Ids and weights of a text, in chunks.
 *
 * @throws NijimiError `option` when the tokenizer has no markers or a weight is not a number
 * @example
 * const { chunks } = chunkPrompt("a (red:1.3) apple", { tokenizer });
 * chunks[0].ids.length; // 77
 */
export function chunkPrompt(text: string, options: ChunkOptions): ChunkedPrompt {
  const {
    tokenizer,
    chunkLength = 75,
    commaBacktrack = 20,
    emphasis = true,
    embeddings = [],
  } = options;
  const { start, end, padding } = tokenizer.special;
  if (start === undefined || end === undefined)
    throw new NijimiError(
      "option",
      `chunkPrompt: a ${tokenizer.kind} tokenizer has no start and end tokens; chunks are for CLIP.`,
    );
  const comma = tokenizer.idOf(",</w>");
  const findEmbedding = embeddingFinder(embeddings);
  const pieces: readonly WeightedText[] = emphasis ? parseAttention(text) : [{ text, weight: 1 }];

  const chunks: TokenChunk[] = [];
  let current = emptyChunk();
  let tokens = 0;
  let afterComma = -1; // ids of the current chunk up to its last comma, −1: none
  const close = (isLast: boolean): void => {
    tokens += isLast ? current.ids.length : chunkLength;
    chunks.push(finish(current, { start, end, padding, chunkLength }));
    current = emptyChunk();
    afterComma = -1;
  };

  for (const piece of pieces) {
    if (piece.text === BREAK.text && piece.weight === BREAK.weight) {
      close(false);
      continue;
    }
    const { ids } = tokenizer.encode(piece.text, { specialTokens: false, maxLength: null });
    for (let at = 0; at < ids.length;) {
      const full = current.ids.length === chunkLength;
      if (ids[at] === comma) afterComma = current.ids.length + 1;
      else if (
        full &&
        commaBacktrack > 0 &&
        afterComma >= 0 &&
        chunkLength - afterComma + 1 <= commaBacktrack
      ) {
        const moved = splitAt(current, afterComma);
        close(false);
        current = moved;
      }
      if (current.ids.length === chunkLength) close(false);
      const embedding = findEmbedding(ids, at);
      if (!embedding) {
        current.ids.push(ids[at++]);
        current.weights.push(piece.weight);
        continue;
      }
      if (embedding.vectors > chunkLength)
        throw new NijimiError(
          "option",
          `prompt: the embedding ${embedding.name} has ${embedding.vectors} vectors; a chunk holds ${chunkLength}.`,
        );
      if (current.ids.length + embedding.vectors > chunkLength) close(false);
      current.embeddings.push({ offset: current.ids.length + 1, name: embedding.name });
      current.ids.push(...Array<number>(embedding.vectors).fill(0));
      current.weights.push(...Array<number>(embedding.vectors).fill(piece.weight));
      at += embedding.ids.length;
    }
  }
  if (current.ids.length > 0 || chunks.length === 0) close(true);
  return { chunks, tokens };
}

/** Chunks of several prompts, as many for each: prompts of one batch are encoded together. */
export function padChunks(
  prompts: readonly ChunkedPrompt[],
  options: Pick<ChunkOptions, "tokenizer" | "chunkLength">,
): TokenChunk[][] {
  const [empty] = chunkPrompt("", options).chunks;
  const most = Math.max(1, ...prompts.map(({ chunks }) => chunks.length));
  return prompts.map(({ chunks }) => Array.from({ length: most }, (_, i) => chunks[i] ?? empty));
}

interface OpenChunk {
  readonly ids: number[];
  readonly weights: number[];
  readonly embeddings: EmbeddingPlace[];
}

function emptyChunk(): OpenChunk {
  return { ids: [], weights: [], embeddings: [] };
}

/** Moves what comes after `length` ids to a chunk of its own. */
function splitAt(chunk: OpenChunk, length: number): OpenChunk {
  const places = chunk.embeddings.splice(0);
  const moved = {
    ids: chunk.ids.splice(length),
    weights: chunk.weights.splice(length),
    embeddings: [] as EmbeddingPlace[],
  };
  for (const { offset, name } of places)
    if (offset <= length) chunk.embeddings.push({ offset, name });
    else moved.embeddings.push({ offset: offset - length, name });
  return moved;
}

/** Markers, then fill: with the end token, after which Stable Diffusion 2 pads with another. */
function finish(
  { ids, weights, embeddings }: OpenChunk,
  {
    start,
    end,
    padding,
    chunkLength,
  }: {
    readonly start: number;
    readonly end: number;
    readonly padding: number;
    readonly chunkLength: number;
  },
): TokenChunk {
  const missing = Math.max(0, chunkLength - ids.length);
  const body = [start, ...ids, ...Array<number>(missing + 1).fill(end)];
  const firstEnd = body.indexOf(end);
  return {
    ids: padding === end ? body : body.map((id, i) => (i > firstEnd ? padding : id)),
    weights: [1, ...weights, ...Array<number>(missing + 1).fill(1)],
    embeddings,
  };
}

/** Finds the embedding whose name begins at a place; of several the one with the longest name. */
function embeddingFinder(
  embeddings: readonly NamedEmbedding[],
): (ids: readonly number[], at: number) => NamedEmbedding | undefined {
  const byFirst = new Map<number, NamedEmbedding[]>();
  for (const embedding of [...embeddings].sort((a, b) => b.ids.length - a.ids.length)) {
    const [first] = embedding.ids;
    if (first !== undefined) byFirst.set(first, [...(byFirst.get(first) ?? []), embedding]);
  }
  return (ids, at) =>
    byFirst.get(ids[at])?.find((embedding) => embedding.ids.every((id, i) => ids[at + i] === id));
}
