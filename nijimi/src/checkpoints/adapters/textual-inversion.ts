/**
 * Textual inversion (arXiv:2208.01618): vectors that stand for a word, in the forms in which tools save them.
 *
 * | tool | form |
 * |---|---|
 * | textual_inversion, A1111 | `.pt` with `string_to_param: { "*": [n, width] }`, name and step beside it |
 * | A1111, kohya | `.safetensors` with `emb_params` |
 * | diffusers | `learned_embeds.bin` or `.safetensors` with the word itself as the name |
 * | SDXL | `clip_l` and `clip_g`, or `text_encoders_0` and `text_encoders_1` |
 */
import { NijimiError } from "../../errors.ts";
import type { Checkpoint, Entries, Entry } from "../checkpoint.ts";
import type { HttpOptions } from "../files/http-source.ts";
import type { Folder } from "../files/folder.ts";
import type { SourceInput } from "../files/open-source.ts";
import { reshapeEntry } from "../layouts/views.ts";
import { openFolderOrFile } from "../layouts/open.ts";
import { EMBEDDING_FILES, openInFolder } from "./in-folder.ts";

/** A word's vectors. */
export interface TextualInversion {
  /** The word, where the file says; otherwise the file's own name is the custom. */
  readonly token?: string;
  /** Vectors [n, width] by text encoder: `text_encoder`, for SDXL also `text_encoder_2`. */
  readonly vectors: Readonly<Record<string, Entry>>;
  /** Number of vectors: of tokens that the word stands for. */
  readonly count: number;
  /** Steps of training, where the file says. */
  readonly steps?: number;
}

/** An embedding read from a file. */
export interface LoadedTextualInversion extends TextualInversion {
  readonly name: string;
  close(): Promise<void>;
}

const PAIRS: readonly (readonly [first: string, second: string])[] = [
  ["clip_l", "clip_g"],
  ["text_encoders_0", "text_encoders_1"],
];

/**
 * Opens a file with an embedding. Vectors are read when they are asked for.
 *
 * @throws NijimiError `format` when the file holds none
 * @example
 * const { token = "my-style", vectors } = await loadTextualInversion("my-style.pt");
 */
export async function loadTextualInversion(
  input: SourceInput | Folder,
  { http }: { readonly http?: HttpOptions } = {},
): Promise<LoadedTextualInversion> {
  const opened = await openFolderOrFile(input, http);
  const checkpoint =
    opened.kind === "file" ? opened.checkpoint : await openInFolder(opened.folder, EMBEDDING_FILES);
  if (!checkpoint)
    throw new NijimiError(
      "file",
      `${String(input)} holds no embedding; looked for learned_embeds.safetensors.`,
    );
  const inversion = readTextualInversion(checkpoint);
  if (inversion) return { ...inversion, name: checkpoint.name, close: () => checkpoint.close() };
  await checkpoint.close();
  const some = Object.keys(checkpoint.entries).slice(0, 3).join(", ");
  throw new NijimiError(
    "format",
    `${checkpoint.name} is not a textual-inversion embedding; it holds ${some || "no tensors"}.`,
  );
}

/** The embedding in a file; undefined when there is none. */
export function readTextualInversion({
  entries,
  metadata,
}: Pick<Checkpoint, "entries" | "metadata">): TextualInversion | undefined {
  const vectors = pairOf(entries) ?? singleOf(entries);
  if (!vectors) return undefined;
  const [[name, first]] = Object.entries(vectors.byEncoder);
  const counts = Object.values(vectors.byEncoder).map(({ shape }) => shape[0]);
  if (counts.some((count) => count !== first.shape[0]))
    throw new NijimiError(
      "format",
      `An embedding must have as many vectors for every text encoder; ${name} has ${counts.join(" and ")}.`,
    );
  const { name: stated, step } = metadata;
  return {
    token: vectors.token ?? (typeof stated === "string" ? stated : undefined),
    vectors: vectors.byEncoder,
    count: first.shape[0],
    steps: typeof step === "number" ? step : undefined,
  };
}

interface Found {
  readonly token?: string;
  readonly byEncoder: Readonly<Record<string, Entry>>;
}

function pairOf(entries: Entries): Found | undefined {
  const pair = PAIRS.find(([first, second]) => first in entries || second in entries);
  if (!pair) return undefined;
  const [text_encoder, text_encoder_2] = pair.map((name) =>
    name in entries ? rows(entries[name]) : undefined,
  );
  return {
    byEncoder: { ...(text_encoder && { text_encoder }), ...(text_encoder_2 && { text_encoder_2 }) },
  };
}

function singleOf(entries: Entries): Found | undefined {
  const names = Object.keys(entries);
  const original = names.find((name) => name.startsWith("string_to_param."));
  const found = original ?? ("emb_params" in entries ? "emb_params" : undefined);
  if (found !== undefined && isVectors(entries[found]))
    return { byEncoder: { text_encoder: rows(entries[found]) } };
  // diffusers: a single tensor whose name is the word.
  const [only] = names;
  const isWord = names.length === 1 && (only.startsWith("<") || !only.includes("."));
  if (!isWord || !isVectors(entries[only])) return undefined;
  return { token: only, byEncoder: { text_encoder: rows(entries[only]) } };
}

function isVectors({ dtype, shape }: Entry): boolean {
  return (
    (dtype.startsWith("float") || dtype === "bfloat16") &&
    (shape.length === 1 || shape.length === 2)
  );
}

/** One vector alone is a row. */
function rows(entry: Entry): Entry {
  return entry.shape.length === 1 ? reshapeEntry(entry, [1, ...entry.shape]) : entry;
}
