/**
 * The unigram language model of sentencepiece (Kudo 2018, arXiv:1804.10959): of all ways to cut a text into pieces,
 * the one with the largest sum of log-probabilities, found by Viterbi's algorithm.
 */
import type { Piece } from "./bpe.ts";

export interface UnigramPiece {
  readonly text: string;
  /** Log-probability. */
  readonly score: number;
  /** False for control, unknown and byte pieces, which no text matches. @default true */
  readonly matchable?: boolean;
  /** Always taken whole where it appears. @default false */
  readonly userDefined?: boolean;
}

export interface UnigramOptions {
  readonly pieces: readonly UnigramPiece[];
  /** Id of the unknown piece. */
  readonly unknown: number;
  /** Add scores in float32, as sentencepiece does; tokenizers uses float64. @default false */
  readonly single?: boolean;
}

/** Cuts a text into pieces; lengths are UTF-16 units; unknown characters side by side are one unknown piece. */
export type UnigramEncoder = (text: string) => Piece[];

/** How much less likely than the least likely piece an unknown character is. */
const UNKNOWN_PENALTY = 10;

/** Builds the table once. */
export function createUnigram({ pieces, unknown, single = false }: UnigramOptions): UnigramEncoder {
  const ids = new Map<string, number>();
  const longest = new Map<number, number>(); // by first unit
  let [lowest, highest] = [Infinity, -Infinity];
  pieces.forEach(({ text, score, matchable = true, userDefined = false }, id) => {
    if (matchable && text !== "") {
      if (!ids.has(text)) ids.set(text, id);
      longest.set(text.charCodeAt(0), Math.max(longest.get(text.charCodeAt(0)) ?? 0, text.length));
    }
    if (userDefined || (single && !matchable)) return;
    lowest = Math.min(lowest, score);
    highest = Math.max(highest, score);
  });
  const round = single ? Math.fround : (x: number): number => x;
  const unknownScore = round(lowest - UNKNOWN_PENALTY);
  const scoreOf = (id: number, length: number): number =>
    pieces[id].userDefined ? length * highest - 0.1 : round(pieces[id].score);

  return (text) => {
    const n = text.length;
    const best = new Float64Array(n + 1).fill(-Infinity);
    const from = new Int32Array(n + 1).fill(-1);
    const by = new Int32Array(n + 1);
    best[0] = 0;
    const offer = (start: number, end: number, id: number, score: number): void => {
      const total = round(best[start] + score);
      if (from[end] >= 0 && total <= best[end]) return;
      best[end] = total;
      from[end] = start;
      by[end] = id;
    };
    for (let start = 0; start < n;) {
      const character = text.codePointAt(start)! > 0xffff ? 2 : 1;
      let alone = false; // the character is a piece
      const limit = Math.min(n - start, longest.get(text.charCodeAt(start)) ?? 0);
      for (let length = character; length <= limit; length++) {
        const id = ids.get(text.slice(start, start + length));
        if (id === undefined) continue;
        offer(start, start + length, id, scoreOf(id, length));
        alone ||= length === character;
      }
      if (!alone) offer(start, start + character, unknown, unknownScore);
      start += character;
    }
    return collect(from, by, unknown);
  };
}

/** Follows the best path back from the end. */
function collect(from: Int32Array, by: Int32Array, unknown: number): Piece[] {
  const pieces: Piece[] = [];
  for (let end = from.length - 1; end > 0; end = from[end]) {
    const piece = { id: by[end], length: end - from[end] };
    const after = pieces.at(-1);
    if (piece.id === unknown && after?.id === unknown)
      pieces[pieces.length - 1] = { id: unknown, length: after.length + piece.length };
    else pieces.push(piece);
  }
  return pieces.reverse();
}
