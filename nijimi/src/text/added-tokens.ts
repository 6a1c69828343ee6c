/**
 * Tokens that are found in the text before anything else happens to it: start and end markers, the words of
 * textual inversion, T5's sentinels. Semantics of transformers' `AddedToken`.
 */
import { sliceAligned, type AlignedText } from "./aligned-text.ts";
import { isPythonSpace, trimEndPython } from "./python-text.ts";

export interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** A control token, left out by `skipSpecialTokens`. @default false */
  readonly special?: boolean;
  /** Takes the white space before it with it. @default false */
  readonly lstrip?: boolean;
  /** Takes the white space after it with it. @default false */
  readonly rstrip?: boolean;
  /** Only where white space or nothing is on both sides. @default false */
  readonly singleWord?: boolean;
  /** Looked for in the cleaned text instead of the original (fast tokenizers only). @default false */
  readonly normalized?: boolean;
}

/** A stretch of ordinary text, or an added token. */
export type TextPart =
  | { readonly text: AlignedText; readonly token?: undefined }
  | { readonly text: AlignedText; readonly token: AddedToken };

/** Finds added tokens: the leftmost first and of several there the longest. */
export type AddedTokenSplitter = (text: AlignedText) => TextPart[];

/** Builds the pattern once. */
export function createSplitter(tokens: readonly AddedToken[]): AddedTokenSplitter {
  const wanted = tokens.filter(({ content }) => content !== "");
  if (wanted.length === 0) return (text) => (text.text === "" ? [] : [{ text }]);
  const byContent = new Map(wanted.map((token) => [token.content, token]));
  const longestFirst = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map(escapeRegExp).join("|"), "g");

  return (aligned) => {
    const parts: TextPart[] = [];
    let from = 0;
    const addText = (to: number): void => {
      if (to > from) parts.push({ text: sliceAligned(aligned, from, to) });
    };
    for (const { 0: content, index } of aligned.text.matchAll(pattern)) {
      const token = byContent.get(content)!;
      if (
        index < from ||
        (token.singleWord && !standsAlone(aligned.text, index, index + content.length))
      )
        continue;
      const before = aligned.text.slice(from, index);
      addText(token.lstrip ? from + trimEndPython(before).length : index);
      parts.push({ text: sliceAligned(aligned, index, index + content.length), token });
      from = index + content.length;
      if (token.rstrip) from = skipSpace(aligned.text, from);
    }
    addText(aligned.text.length);
    return parts;
  };
}

function standsAlone(text: string, start: number, end: number): boolean {
  return (start === 0 || text[start - 1] === " ") && (end === text.length || text[end] === " ");
}

/** Where white space that begins at `from` ends. */
function skipSpace(text: string, from: number): number {
  while (from < text.length && isPythonSpace(text[from])) from++;
  return from;
}

/** A pattern that matches exactly this text. */
export function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
