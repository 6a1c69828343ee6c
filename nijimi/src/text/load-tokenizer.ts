/**
 * A tokenizer from the files of a diffusers or transformers folder (`tokenizer/`, `tokenizer_2/`): which program is
 * followed is decided by `tokenizer_class`, the vocabulary by what is there.
 */
import { NijimiError } from "../errors.ts";
import type { AddedToken } from "./added-tokens.ts";
import { parseBpe } from "./bpe-files.ts";
import { createClipTokenizer } from "./clip.ts";
import { index, object, parseJson, type Json, type JsonObject } from "./json-values.ts";
import { createSentencePieceTokenizer, parseSentencePieceModel } from "./sentencepiece.ts";
import { createTokenizerFromJson, readAddedToken } from "./tokenizer-json/tokenizer-json.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Contents by file name. Names that are not known are ignored. */
export type TokenizerFiles = Readonly<Record<string, Uint8Array | undefined>>;

/** The files that {@link loadTokenizer} reads, for whoever fetches them. */
export const TOKENIZER_FILES = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "spiece.model",
  "tokenizer.json",
] as const;

export interface LoadTokenizerOptions {
  /** Tokens besides the folder's own, such as the words of textual inversion. @default [] */
  readonly addedTokens?: readonly AddedToken[];
}

/** `model_max_length` above this means that there is none. */
const NO_LENGTH = 1e9;

/**
 * Builds the tokenizer that a folder describes.
 *
 * @throws NijimiError `file` when there is no vocabulary, `format` when a file is damaged, `unsupported` for other kinds
 * @example
 * const tokenizer = loadTokenizer({ "vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": config });
 */
export function loadTokenizer(
  files: TokenizerFiles,
  { addedTokens = [] }: LoadTokenizerOptions = {},
): Tokenizer {
  const config = readObject(files, "tokenizer_config.json");
  const special = { ...readObject(files, "special_tokens_map.json"), ...config };
  const tokenizerClass = typeof config.tokenizer_class === "string" ? config.tokenizer_class : "";
  const fast = tokenizerClass.endsWith("Fast");
  const length =
    typeof config.model_max_length === "number" && config.model_max_length < NO_LENGTH
      ? config.model_max_length
      : undefined;
  const own = [...readAddedTokens(files, config), ...addedTokens];
  const has = (...names: string[]): boolean => names.every((name) => files[name] !== undefined);

  if (has("vocab.json", "merges.txt") && !/^(GPT2|Roberta|Bart)/.test(tokenizerClass))
    return createClipTokenizer({
      bpe: parseBpe(parseJson(text(files, "vocab.json"), "vocab.json"), text(files, "merges.txt")),
      cleaning: fast ? "transformers-fast" : "transformers",
      addedTokens: own,
      ...(length !== undefined && { maxLength: length }),
      ...(contentOf(special.bos_token) !== undefined && {
        startToken: contentOf(special.bos_token),
      }),
      ...(contentOf(special.eos_token) !== undefined && { endToken: contentOf(special.eos_token) }),
      ...(contentOf(special.pad_token) !== undefined && {
        paddingToken: contentOf(special.pad_token),
      }),
    });
  if (has("spiece.model") && !(fast && has("tokenizer.json")))
    return createSentencePieceTokenizer({
      model: parseSentencePieceModel(files["spiece.model"]!),
      extraIds: typeof config.extra_ids === "number" ? config.extra_ids : 100,
      addedTokens: own,
      ...(length !== undefined && { maxLength: length }),
    });
  if (has("tokenizer.json"))
    return createTokenizerFromJson(
      withAddedTokens(parseJson(text(files, "tokenizer.json"), "tokenizer.json"), addedTokens),
      {
        ...(length !== undefined && { maxLength: length }),
        ...(contentOf(special.pad_token) !== undefined && {
          paddingToken: contentOf(special.pad_token),
        }),
      },
    );
  const there = Object.keys(files).filter((name) => files[name] !== undefined);
  throw new NijimiError(
    "file",
    `tokenizer: no vocabulary among the files [${there.join(", ")}]; expected vocab.json with merges.txt, spiece.model or tokenizer.json.`,
  );
}

function text(files: TokenizerFiles, name: string): string {
  return new TextDecoder().decode(files[name]);
}

function readObject(files: TokenizerFiles, name: string): JsonObject {
  return files[name] === undefined ? {} : object(parseJson(text(files, name), name), name);
}

/** A special token's text: plain, or the content of a described token. */
function contentOf(json: Json | undefined): string | undefined {
  if (typeof json === "string") return json;
  if (typeof json !== "object" || json === null) return undefined;
  const { content } = json as JsonObject;
  return typeof content === "string" ? content : undefined;
}

/** `added_tokens_decoder` of the config; in older folders `added_tokens.json`, token → id. */
function readAddedTokens(
  files: TokenizerFiles,
  { added_tokens_decoder }: JsonObject,
): AddedToken[] {
  if (added_tokens_decoder !== undefined)
    return Object.entries(object(added_tokens_decoder, "added_tokens_decoder")).map(([id, token]) =>
      readAddedToken(token, index(Number(id), "added token's id")),
    );
  return Object.entries(readObject(files, "added_tokens.json")).map(([content, id]) => ({
    content,
    id: index(id, `id of ${content}`),
  }));
}

function withAddedTokens(json: Json, tokens: readonly AddedToken[]): Json {
  if (tokens.length === 0) return json;
  const file = object(json, "tokenizer.json");
  const more = tokens.map(({ content, id }) => ({ content, id }));
  return {
    ...file,
    added_tokens: [...((file.added_tokens as readonly Json[] | undefined) ?? []), ...more],
  };
}
