/**
 * Learning a byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909) from texts, in the form of CLIP's vocabulary:
 * 256 bytes, 256 bytes that end a word, merges from frequent to rare, start and end marker. A small vocabulary makes a
 * small text tower; bytes keep every text writable.
 *
 * Ties are broken by the pair's spelling, so that the same texts give the same vocabulary everywhere.
 */
import { NijimiError } from "../../errors.ts";
import { BYTE_CHARACTERS, BYTE_ORDER, toByteAlphabet } from "../../text/byte-alphabet.ts";

/** Files of a CLIP tokenizer. */
export interface TrainedBpe {
  /** Token → id, `vocab.json`. */
  readonly vocabulary: Readonly<Record<string, number>>;
  /** Parts separated by a space, in order of rank, `merges.txt` without its first line. */
  readonly merges: readonly string[];
}

export const START_TOKEN = "<|startoftext|>";
export const END_TOKEN = "<|endoftext|>";

/** CLIP's words: English endings, letters, single digits, runs of other signs. */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu;
const WORD_END = "</w>";

/**
 * Learns a vocabulary of at most `size` tokens. Fewer come out when the texts have no more pairs to merge.
 *
 * @throws NijimiError `option` when `size` has no room for bytes and markers
 * @example
 * const { vocabulary, merges } = trainBpe(captions, 3072);
 */
export function trainBpe(texts: Iterable<string>, size: number): TrainedBpe {
  const bytes = BYTE_ORDER.map((byte) => BYTE_CHARACTERS[byte]);
  const tokens = [...bytes, ...bytes.map((character) => character + WORD_END)];
  if (size < tokens.length + 2)
    throw new NijimiError(
      "option",
      `Vocabulary of ${size} tokens: bytes and markers alone are ${tokens.length + 2}.`,
    );
  const words = countWords(texts);
  const merges: string[] = [];
  while (tokens.length < size - 2) {
    const pair = mostFrequentPair(words);
    if (pair === undefined) break;
    const [left, right] = pair.split(" ");
    merges.push(pair);
    tokens.push(left + right);
    for (const word of words) mergeIn(word.symbols, left, right);
  }
  tokens.push(START_TOKEN, END_TOKEN);
  return { vocabulary: Object.fromEntries(tokens.map((token, id) => [token, id])), merges };
}

interface CountedWord {
  /** Symbols so far; merging changes them in place. */
  readonly symbols: string[];
  readonly count: number;
}

function countWords(texts: Iterable<string>): CountedWord[] {
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const [word] of text.toLowerCase().matchAll(WORDS))
      counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => {
    const symbols = [...toByteAlphabet(word)];
    symbols[symbols.length - 1] += WORD_END;
    return { symbols, count };
  });
}

/** The pair that occurs most often, the first by spelling of equals; undefined when every word is one symbol. */
function mostFrequentPair(words: readonly CountedWord[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words)
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = `${symbols[i]} ${symbols[i + 1]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  let best: string | undefined;
  let most = 0;
  for (const [pair, count] of counts)
    if (count > most || (count === most && pair < best!)) [best, most] = [pair, count];
  return best;
}

function mergeIn(symbols: string[], left: string, right: string): void {
  for (let i = 0; i + 1 < symbols.length; i++)
    if (symbols[i] === left && symbols[i + 1] === right) symbols.splice(i, 2, left + right);
}

/** The files of a tokenizer folder that transformers' CLIPTokenizer and `loadTokenizer` read. */
export function tokenizerFiles(
  { vocabulary, merges }: TrainedBpe,
  maxLength: number,
): Readonly<Record<string, string>> {
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  return {
    "vocab.json": json(vocabulary),
    "merges.txt": ["#version: 0.2", ...merges, ""].join("\n"),
    "tokenizer_config.json": json({
      tokenizer_class: "CLIPTokenizer",
      model_max_length: maxLength,
      bos_token: START_TOKEN,
      eos_token: END_TOKEN,
      pad_token: END_TOKEN,
      unk_token: END_TOKEN,
      do_lower_case: true,
    }),
    "special_tokens_map.json": json({
      bos_token: START_TOKEN,
      eos_token: END_TOKEN,
      pad_token: END_TOKEN,
      unk_token: END_TOKEN,
    }),
  };
}
