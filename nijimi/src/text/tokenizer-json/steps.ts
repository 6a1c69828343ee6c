/** Normalisers and pre-tokenizers of a `tokenizer.json`: what happens to a text before the model cuts it into tokens. */
import { NijimiError, unknownName } from "../../errors.ts";
import { escapeRegExp } from "../added-tokens.ts";
import {
  joinAligned,
  lowerAligned,
  normalizeAligned,
  originalSpan,
  replaceAligned,
  sliceAligned,
  trimAligned,
  type AlignedText,
} from "../aligned-text.ts";
import { normalizeGraphemes, parseCharsmap } from "../charsmap.ts";
import { array, boolean, object, string, type Json, type JsonObject } from "../json-values.ts";
import { PYTHON_WORD, UNICODE_SPACE } from "../python-text.ts";

/** Changes a text. */
export type Normalizer = (text: AlignedText) => AlignedText;

/** Cuts a text into words; `isFirst` is true at the beginning of the whole text. */
export type PreTokenizer = (text: AlignedText, isFirst: boolean) => AlignedText[];

/** Applies the reader of a part's type; an unknown type is refused by name. */
export function readPart<T>(
  what: string,
  json: Json | undefined,
  readers: Readonly<Record<string, (part: JsonObject) => T>>,
): T {
  const part = object(json, what);
  const type = string(part.type, `${what}'s type`);
  if (!Object.hasOwn(readers, type))
    throw unknownName(`${what} of tokenizer.json`, type, Object.keys(readers));
  return readers[type](part);
}

export function readNormalizer(json: Json | undefined): Normalizer {
  const form = (name: "NFC" | "NFD" | "NFKC" | "NFKD") => (): Normalizer => (text) =>
    normalizeAligned(text, name);
  return readPart<Normalizer>("normalizer", json, {
    NFC: form("NFC"),
    NFD: form("NFD"),
    NFKC: form("NFKC"),
    NFKD: form("NFKD"),
    Lowercase: () => (text) => lowerAligned(text, true),
    Strip: () => trimAligned,
    Precompiled: ({ precompiled_charsmap }) => {
      const charsmap = parseCharsmap(
        fromBase64(string(precompiled_charsmap, "precompiled_charsmap")),
      );
      return (text) => normalizeGraphemes(charsmap, text);
    },
    Replace: ({ pattern, content }) => {
      const [wanted, by] = [readPattern(pattern), string(content, "Replace's content")];
      return (text) => replaceAligned(text, wanted, () => by);
    },
    Prepend: ({ prepend }) => {
      const front = string(prepend, "Prepend's prepend");
      return (text) => (text.text === "" ? text : prependTo(text, front));
    },
    Sequence: ({ normalizers }) => {
      const steps = array(normalizers, "normalizers").map(readNormalizer);
      return (text) => steps.reduce((current, step) => step(current), text);
    },
  });
}

export function readPreTokenizer(json: Json | undefined): PreTokenizer {
  const words = (pattern: string) => (): PreTokenizer => (text) =>
    matches(text, new RegExp(pattern, "gu"));
  return readPart<PreTokenizer>("pre_tokenizer", json, {
    WhitespaceSplit: words(`[^${UNICODE_SPACE}]+`),
    Whitespace: words(`[${PYTHON_WORD}]+|[^${PYTHON_WORD}${UNICODE_SPACE}]+`),
    // Its words are found by the model, which needs their bytes.
    ByteLevel: ({ add_prefix_space }) => {
      const adds = boolean(add_prefix_space ?? true, "add_prefix_space");
      return (text) => [adds && !text.text.startsWith(" ") ? prependTo(text, " ") : text];
    },
    Metaspace: readMetaspace,
    Split: readSplit,
    Sequence: ({ pretokenizers }) => {
      const cuts = array(pretokenizers, "pretokenizers").map(readPreTokenizer);
      return (text, isFirst) =>
        cuts.reduce<AlignedText[]>(
          (parts, cut) => parts.flatMap((part, i) => cut(part, isFirst && i === 0)),
          [text],
        );
    },
  });
}

/** Spaces become marks, and a word is a mark with what follows it. */
function readMetaspace({
  replacement,
  prepend_scheme,
  add_prefix_space,
  split,
}: JsonObject): PreTokenizer {
  const mark = string(replacement ?? "▁", "Metaspace's replacement");
  if ([...mark].length !== 1)
    throw new NijimiError(
      "format",
      `Metaspace's replacement must be one character; got ${JSON.stringify(mark)}.`,
    );
  const scheme = string(
    prepend_scheme ?? (add_prefix_space === false ? "never" : "always"),
    "prepend_scheme",
  );
  const splits = boolean(split ?? true, "Metaspace's split");
  const words = new RegExp(
    `${escapeRegExp(mark)}[^${escapeRegExp(mark)}]*|[^${escapeRegExp(mark)}]+`,
    "gu",
  );
  return (text, isFirst) => {
    const marked = replaceAligned(text, / /g, () => mark);
    const wanted = scheme === "always" || (scheme === "first" && isFirst);
    const whole = wanted && !marked.text.startsWith(mark) ? prependTo(marked, mark) : marked;
    return splits ? matches(whole, words) : [whole];
  };
}

/** Cuts at a pattern, or (inverted) keeps what it matches. */
function readSplit({ pattern, behavior, invert }: JsonObject): PreTokenizer {
  const wanted = readPattern(pattern);
  const kind = string(behavior, "Split's behavior");
  if (kind !== "Removed" && kind !== "Isolated")
    throw unknownName("Split behavior of tokenizer.json", kind, ["Removed", "Isolated"]);
  if (kind === "Removed" && boolean(invert ?? false, "Split's invert"))
    return (text) => matches(text, wanted);
  return (text) => around(text, wanted, kind === "Isolated");
}

/** The parts of a text that a pattern matches. */
function matches(text: AlignedText, pattern: RegExp): AlignedText[] {
  return Array.from(text.text.matchAll(pattern), ({ 0: match, index }) =>
    sliceAligned(text, index, index + match.length),
  ).filter(notEmpty);
}

/** The parts between matches, and the matches too when they are kept. */
function around(text: AlignedText, pattern: RegExp, keepsMatches: boolean): AlignedText[] {
  const parts: AlignedText[] = [];
  let from = 0;
  for (const { 0: match, index } of text.text.matchAll(pattern)) {
    parts.push(sliceAligned(text, from, index));
    from = index + match.length;
    if (keepsMatches) parts.push(sliceAligned(text, index, from));
  }
  return [...parts, sliceAligned(text, from, text.text.length)].filter(notEmpty);
}

function notEmpty({ text }: AlignedText): boolean {
  return text !== "";
}

/** What is put in front stands for the text's first character. */
function prependTo(text: AlignedText, front: string): AlignedText {
  const [start, end] = text.text === "" ? [0, 0] : originalSpan(text, 0, 1);
  const starts = new Int32Array(front.length).fill(start);
  const ends = new Int32Array(front.length).fill(end);
  return joinAligned([{ text: front, starts, ends }, text]);
}

/** `{ "String": … }` or `{ "Regex": … }`; `\s` means Unicode's white space, which is not JavaScript's. */
function readPattern(json: Json | undefined): RegExp {
  const { Regex, String: literal } = object(json, "pattern");
  const source = string(Regex ?? literal, "pattern");
  if (Regex === undefined) return new RegExp(escapeRegExp(source), "gu");
  let inClass = false;
  const translated = source.replace(/\\[^]|[[\]]/g, (token) => {
    if (token === "[" || token === "]") inClass = token === "[";
    if (token !== "\\s") return token;
    return inClass ? UNICODE_SPACE : `[${UNICODE_SPACE}]`;
  });
  try {
    return new RegExp(translated, "gu");
  } catch (cause) {
    throw new NijimiError(
      "unsupported",
      `tokenizer.json: the pattern ${JSON.stringify(source)} is not one that JavaScript knows.`,
      { cause },
    );
  }
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new NijimiError("format", "tokenizer.json: the charsmap is not base64.", { cause });
  }
}
