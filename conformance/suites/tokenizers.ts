/**
 * Tokenizers: ids of many texts, exactly, for each of the programs whose ids a case lists; decoded texts too.
 * A case names its vocabulary files; GLIDE's vocabulary and CLIP's own come with nijimi.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import {
  createClipTokenizer,
  createGlideTokenizer,
  createSentencePieceTokenizer,
  createTokenizerFromJson,
  loadClipVocabulary,
  loadGpt2Vocabulary,
  padWithMask,
  parseBpe,
  parseSentencePieceModel,
  type Bpe,
  type ClipCleaning,
  type Tokenizer,
} from "nijimi/text";
import type { Case, Comparison, Suite } from "../case.ts";

type Item = Readonly<Record<string, unknown>> & { readonly text: string };

/** What a program makes of a text. */
type Program = (text: string) => unknown;

export const suite: Suite = {
  kind: "tokenizers",
  accepts: (c) => isGlide(c) || vocabularyFiles(c).length > 0,
  async run(c) {
    const programs = isGlide(c) ? await glide(c) : await listed(c);
    const items = (c.json.items ?? c.json.cases) as readonly Item[];
    return Object.entries(programs).map(([field, program]) => compareItems(field, program, items));
  },
};

function isGlide({ json }: Case): boolean {
  return /^glide_text2im\.tokenizer\b/.test(json.function ?? "");
}

/** The files that `vocabulary` speaks of. */
function vocabularyFiles({ json }: Case): string[] {
  const { vocabulary } = json;
  return typeof vocabulary === "string"
    ? (vocabulary.match(/[\w./-]+\.(?:json|txt|model)\b/g) ?? [])
    : [];
}

function compareItems(field: string, program: Program, items: readonly Item[]): Comparison {
  const wrong = items
    .filter((item) => item[field] !== undefined && item[field] !== null)
    .flatMap((item) => {
      const [got, expected] = [JSON.stringify(program(item.text)), JSON.stringify(item[field])];
      return got === expected
        ? []
        : [`${JSON.stringify(item.text).slice(0, 60)}: got ${got}, expected ${expected}`];
    });
  if (wrong.length === 0) return { name: field, error: 0, passed: true };
  return {
    name: field,
    error: wrong.length,
    passed: false,
    message: `${wrong.length} of ${items.length} texts, ${wrong[0]}`,
  };
}

/** Programs by the field of an item that has their result. */
async function listed(c: Case): Promise<Record<string, Program>> {
  const files = vocabularyFiles(c);
  const file = (name: string): string | undefined => {
    const found = files.find((candidate) => path.posix.basename(candidate) === name);
    return found === undefined ? undefined : path.join(c.folder, found);
  };
  const [vocabulary, merges, model, json] = [
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.json",
  ].map(file);
  return {
    ...(vocabulary && merges && clip(await clipVocabulary(vocabulary, merges))),
    ...(model && sentencePiece(model)),
    ...(json && tokenizerJson(json)),
  };
}

/** The case's vocabulary; where its files are left out it is CLIP's, which comes with nijimi. */
async function clipVocabulary(vocabulary: string, merges: string): Promise<Bpe> {
  if (!existsSync(vocabulary)) return loadClipVocabulary();
  return parseBpe(JSON.parse(readFileSync(vocabulary, "utf8")), readFileSync(merges, "utf8"));
}

function clip(bpe: Bpe): Record<string, Program> {
  const following = (cleaning: ClipCleaning): Tokenizer => createClipTokenizer({ bpe, cleaning });
  const openClip = following("open_clip");
  const whole: Program = (text) =>
    openClip.encode(text, { specialTokens: false, maxLength: null }).ids;
  return {
    hf_slow: idsOf(following("transformers")),
    hf_fast: idsOf(following("transformers-fast")),
    openai: idsOf(following("openai")),
    // The lists of open_clip leave out the padding, and with it all after the first end token.
    open_clip: (text) => {
      const { ids } = openClip.encode(text);
      return ids.slice(0, ids.indexOf(openClip.special.end!) + 1);
    },
    open_clip_untruncated: whole,
    decoded: (text) => openClip.decode(whole(text) as number[]),
  };
}

function sentencePiece(file: string): Record<string, Program> {
  const model = parseSentencePieceModel(readFileSync(file));
  const library = createSentencePieceTokenizer({ model, flavour: "sentencepiece" });
  const encode: Program = (text) => library.encode(text, { specialTokens: false }).ids;
  return { sentencepiece: encode, hf_slow: idsOf(createSentencePieceTokenizer({ model })) };
}

function tokenizerJson(file: string): Record<string, Program> {
  const tokenizer = createTokenizerFromJson(JSON.parse(readFileSync(file, "utf8")));
  return {
    hf_fast: idsOf(tokenizer),
    hf_fast_decoded: (text) => tokenizer.decode(tokenizer.encode(text).ids),
  };
}

async function glide({ json }: Case): Promise<Record<string, Program>> {
  const { text_ctx: maxLength = 128 } = json as { readonly text_ctx?: number };
  const tokenizer = createGlideTokenizer({ bpe: await loadGpt2Vocabulary(), maxLength });
  const encode = (text: string): readonly number[] =>
    tokenizer.encode(text, { maxLength: null }).ids;
  return {
    tokens: encode,
    padded_tokens: (text) => padWithMask(tokenizer, encode(text)).ids,
    mask_true: (text) => padWithMask(tokenizer, encode(text)).mask.filter(Boolean).length,
    decoded: (text) => tokenizer.decode(encode(text)),
  };
}

function idsOf(tokenizer: Tokenizer): Program {
  return (text) => tokenizer.encode(text).ids;
}
