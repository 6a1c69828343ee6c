/**
 * Hugging Face's `tokenizer.json`: a pipeline of normaliser, pre-tokenizer, model, post-processor and decoder, each
 * named by type. Of the many types those are read that text encoders of diffusion models use (T5, CLIP, GPT-2);
 * any other is refused by name.
 *
 * Follows the Rust library `tokenizers` 0.22: graphemes in the charsmap, lower case character by character.
 */
import { NijimiError } from "../../errors.ts";
import { createSplitter, type AddedToken } from "../added-tokens.ts";
import { align, originalSpan, type AlignedText } from "../aligned-text.ts";
import { fromByteAlphabet } from "../byte-alphabet.ts";
import {
  array,
  boolean,
  index,
  object,
  string,
  type Json,
  type JsonObject,
} from "../json-values.ts";
import { toWellFormed } from "../python-text.ts";
import { finishEncoding, joinEncodings, type Encoding, type Tokenizer } from "../tokenizer.ts";
import { readModel } from "./model.ts";
import { readNormalizer, readPart, readPreTokenizer } from "./steps.ts";

export interface TokenizerJsonOptions {
  /** How many ids the model takes. @default the file's truncation, else Infinity */
  readonly maxLength?: number;
  /** Content of the padding token. @default the file's padding, else `<pad>`, else id 0 */
  readonly paddingToken?: string;
}

/**
 * A tokenizer from the parsed content of a `tokenizer.json`.
 *
 * @throws NijimiError `format` when a field is missing or of the wrong type, `option` for types that are not read
 * @example
 * const tokenizer = createTokenizerFromJson(JSON.parse(text));
 */
export function createTokenizerFromJson(
  json: unknown,
  options: TokenizerJsonOptions = {},
): Tokenizer {
  const file = object(json, "tokenizer.json");
  const added = array(file.added_tokens ?? [], "added_tokens").map((token) =>
    readAddedToken(token),
  );
  const normalize = file.normalizer ? readNormalizer(file.normalizer) : (text: AlignedText) => text;
  const cut = file.pre_tokenizer
    ? readPreTokenizer(file.pre_tokenizer)
    : (text: AlignedText) => [text];
  const model = readModel(file.model, file.pre_tokenizer);
  const addedById = new Map(added.map((token) => [token.id, token]));
  const ids = new Map([
    ...model.ids,
    ...added.map(({ content, id }): [string, number] => [content, id]),
  ]);
  const tokens = new Map([...ids].map(([token, id]): [number, string] => [id, token]));
  const decode = readDecoder(file.decoder);

  const { start, end } = readMarkers(file.post_processor, ids);
  const filePadding = file.padding
    ? index(object(file.padding, "padding").pad_id, "padding.pad_id")
    : ids.get("<pad>");
  const padding =
    (options.paddingToken === undefined ? filePadding : ids.get(options.paddingToken)) ?? 0;
  const special = { start, end, padding, unknown: model.unknown };
  const maxLength =
    options.maxLength ??
    (file.truncation
      ? index(object(file.truncation, "truncation").max_length, "truncation.max_length")
      : Infinity);

  const split = createSplitter(added.filter((token) => !token.normalized));
  const normalized = added.filter((token) => token.normalized);
  const splitNormalized = createSplitter(
    normalized.map((token) => ({ ...token, content: normalize(align(token.content)).text })),
  );
  const tokenEncoding = (token: AddedToken, text: AlignedText): Encoding => ({
    ids: [token.id],
    offsets: [originalSpan(text, 0, text.text.length)],
  });

  function encodeBody(text: string): Encoding {
    const parts = split(align(toWellFormed(text))).flatMap((part) =>
      part.token ? [part] : splitNormalized(normalize(part.text)),
    );
    return joinEncodings(
      parts.flatMap((part, i) =>
        part.token
          ? [tokenEncoding(part.token, part.text)]
          : cut(part.text, i === 0).map(model.encode),
      ),
    );
  }

  return {
    kind: model.kind,
    vocabularySize: [...tokens.keys()].reduce((size, id) => Math.max(size, id + 1), 0),
    maxLength,
    special,
    encode: (text, encodeOptions) =>
      finishEncoding(encodeBody(text), { special, maxLength, end: text.length }, encodeOptions),
    decode(wanted, { skipSpecialTokens = false } = {}) {
      const shown = Array.from(wanted).filter(
        (id) => !(skipSpecialTokens && addedById.get(id)?.special),
      );
      return decode(shown.map((id) => tokens.get(id) ?? ""));
    },
    tokenOf: (id) => tokens.get(id),
    idOf: (token) => ids.get(token),
  };
}

/** An added token as `tokenizer.json` has it, or `tokenizer_config.json` under its id. */
export function readAddedToken(json: Json | undefined, id?: number): AddedToken {
  const token = object(json, "added token");
  const flag = (name: string): boolean => boolean(token[name] ?? false, `added token's ${name}`);
  return {
    content: string(token.content, "added token's content"),
    id: id ?? index(token.id, "added token's id"),
    special: flag("special"),
    lstrip: flag("lstrip"),
    rstrip: flag("rstrip"),
    singleWord: flag("single_word"),
    normalized: flag("normalized"),
  };
}

/** The ids that are put around a text; at most one on either side. */
function readMarkers(
  json: Json | undefined,
  ids: ReadonlyMap<string, number>,
): { readonly start?: number; readonly end?: number } {
  if (json === null || json === undefined) return {};
  const idOfPair = (pair: Json | undefined): number =>
    index(array(pair, "marker")[1], "marker's id");
  const both = ({ cls, sep }: JsonObject): { start: number; end: number } => ({
    start: idOfPair(cls),
    end: idOfPair(sep),
  });
  return readPart<{ start?: number; end?: number }>("post_processor", json, {
    ByteLevel: () => ({}),
    BertProcessing: both,
    RobertaProcessing: both,
    Sequence: ({ processors }) =>
      array(processors, "processors").reduce<{ start?: number; end?: number }>(
        (all, inner) => ({ ...all, ...readMarkers(inner, ids) }),
        {},
      ),
    TemplateProcessing: ({ single }) => {
      const steps = array(single, "single").map((step) => object(step, "template's step"));
      const text = steps.findIndex((step) => "Sequence" in step);
      const idOfStep = ({ SpecialToken }: JsonObject): number => {
        const token = string(object(SpecialToken, "SpecialToken").id, "SpecialToken's id");
        const id = ids.get(token);
        if (id === undefined)
          throw new NijimiError(
            "format",
            `tokenizer.json: the template's token ${JSON.stringify(token)} is not in the vocabulary.`,
          );
        return id;
      };
      const [before, after] = [
        steps.slice(0, text).map(idOfStep),
        steps.slice(text + 1).map(idOfStep),
      ];
      if (text < 0 || before.length > 1 || after.length > 1)
        throw new NijimiError(
          "unsupported",
          "tokenizer.json: a template with more than one token on a side of the text is not read.",
        );
      return { start: before[0], end: after[0] };
    },
  });
}

function readDecoder(json: Json | undefined): (tokens: readonly string[]) => string {
  if (json === null || json === undefined) return (tokens) => tokens.join(" ");
  return readPart<(tokens: readonly string[]) => string>("decoder", json, {
    ByteLevel: () => (tokens) => fromByteAlphabet(tokens.join("")),
    Metaspace: ({ replacement, prepend_scheme }) => {
      const mark = string(replacement ?? "▁", "Metaspace's replacement");
      const first = prepend_scheme === "never" ? " " : "";
      return (tokens) =>
        tokens.map((token, i) => token.replaceAll(mark, i === 0 ? first : " ")).join("");
    },
  });
}
