/**
 * Weighted text of the A1111 web UI: `(word)` × 1.1, `((word))` × 1.21, `[word]` ÷ 1.1, `(word:1.3)` × 1.3, a backslash
 * before a bracket makes it text, and BREAK ends a chunk. Brackets that are not closed hold to the end.
 */
import { NijimiError } from "../../errors.ts";
import {
  PYTHON_SPACE,
  PYTHON_WORD,
  toAsciiDigits,
  trimEndPython,
  trimPython,
} from "../python-text.ts";

/** Text with one weight. {@link BREAK} stands for the end of a chunk. */
export interface WeightedText {
  readonly text: string;
  readonly weight: number;
}

/** What BREAK becomes; inside brackets its weight is multiplied too, and it then is a word like any other. */
export const BREAK: WeightedText = { text: "BREAK", weight: -1 };

const ROUND = 1.1;
const SQUARE = 1 / 1.1;

/** More multiplications than this, which is thousands of brackets within each other, are refused. */
const MAX_WORK = 1 << 24;

const TOKEN = new RegExp(
  `\\\\[()[\\]\\\\]?|[([]|:[${PYTHON_SPACE}]*([+-]?[.\\p{Nd}]+)[${PYTHON_SPACE}]*\\)|[)\\]]|[^\\\\()[\\]:]+|:`,
  "gu",
);
const BREAK_WORD = new RegExp(`(?<![${PYTHON_WORD}])BREAK(?![${PYTHON_WORD}])`, "u");

/**
 * Takes a text apart into weighted pieces; neighbours of equal weight are one piece.
 *
 * @throws NijimiError `option` when a weight is not a number (`(a:1.2.3)`) or brackets nest absurdly deep
 * @example
 * parseAttention("a (red:1.3) apple");
 * // [{ text: "a ", weight: 1 }, { text: "red", weight: 1.3 }, { text: " apple", weight: 1 }]
 */
export function parseAttention(text: string): WeightedText[] {
  const texts: string[] = [];
  const weights: number[] = [];
  const round: number[] = [];
  const square: number[] = [];
  let work = 0;
  const multiplyFrom = (start: number, factor: number): void => {
    work += weights.length - start;
    if (work > MAX_WORK)
      throw new NijimiError(
        "option",
        "prompt: thousands of weights within each other; remove some of the brackets.",
      );
    for (let i = start; i < weights.length; i++) weights[i] *= factor;
  };
  const add = (piece: string, weight = 1): void => {
    texts.push(piece);
    weights.push(weight);
  };
  for (const { 0: token, 1: weight } of text.matchAll(TOKEN)) {
    if (token[0] === "\\") add(token.slice(1));
    else if (token === "(") round.push(texts.length);
    else if (token === "[") square.push(texts.length);
    else if (weight !== undefined && round.length > 0)
      multiplyFrom(round.pop()!, parseWeight(weight));
    else if (token === ")" && round.length > 0) multiplyFrom(round.pop()!, ROUND);
    else if (token === "]" && square.length > 0) multiplyFrom(square.pop()!, SQUARE);
    else
      splitAtBreaks(token).forEach((part, i) => {
        if (i > 0) add(BREAK.text, BREAK.weight);
        add(part);
      });
  }
  for (const start of round) multiplyFrom(start, ROUND);
  for (const start of square) multiplyFrom(start, SQUARE);
  return merge(texts, weights);
}

/** A weight as Python's `float` reads it. */
export function parseWeight(text: string): number {
  const weight = Number(toAsciiDigits(text));
  if (Number.isNaN(weight))
    throw new NijimiError(
      "option",
      `prompt: the weight ${JSON.stringify(text)} is not a number; write, for example, (word:1.2).`,
    );
  return weight;
}

/** The text around each BREAK, without the white space next to it. */
function splitAtBreaks(text: string): string[] {
  const parts = text.split(BREAK_WORD);
  const trimStart = (part: string): string =>
    part.slice(trimEndPython(part).length - trimPython(part).length);
  return parts.map((part, i) => {
    const left = i > 0 ? (trimEndPython(part) === "" ? "" : trimStart(part)) : part;
    return i < parts.length - 1 ? trimEndPython(left) : left;
  });
}

function merge(texts: readonly string[], weights: readonly number[]): WeightedText[] {
  const merged: WeightedText[] = [];
  for (let from = 0; from < texts.length;) {
    let to = from + 1;
    while (to < texts.length && weights[to] === weights[from]) to++;
    merged.push({ text: texts.slice(from, to).join(""), weight: weights[from] });
    from = to;
  }
  return merged.length > 0 ? merged : [{ text: "", weight: 1 }];
}
