/** The emoji pictures: 128×128, transparent, with captions; docs/recipes/build-the-emoji-shards.md makes the shards. */
import { type DatasetSpec, openDataset } from "../../../data/open-dataset.ts";
import type { RawSample } from "../../../data/sample.ts";
import { NijimiError } from "../../../errors.ts";
import { withheldKeys } from "./split.ts";

/** Sets of emoji. */
export interface EmojiData {
  /** All but the withheld. */
  readonly training: DatasetSpec;
  /** The same with base emoji drawn more often than variants of skin tone, which look alike. */
  readonly balanced: DatasetSpec;
  readonly withheld: DatasetSpec;
  readonly withheldBase: DatasetSpec;
  readonly all: DatasetSpec;
  /** The same with base emoji drawn more often. */
  readonly allBalanced: DatasetSpec;
  /** Captions and tags of the training pictures. */
  readonly texts: readonly string[];
}

/** Times a base emoji is drawn for each time a variant is. */
export const BASE_WEIGHT = 3;

/**
 * The sets in the shards at `files`.
 *
 * @throws NijimiError `option` when no files are named
 */
export async function emojiData(files: string): Promise<EmojiData> {
  if (files === "")
    throw new NijimiError(
      "option",
      "This recipe needs the emoji shards: --set data=PATH/noto-emoji-128.tar.gz. docs/recipes/build-the-emoji-shards.md says how they are made.",
    );
  const all = { kind: "webdataset", files } as const;
  const samples = await readAll(all);
  const withheld = withheldKeys();
  const hidden = new Set(withheld);
  const keys = (wanted: (sample: RawSample) => boolean) =>
    samples.filter(wanted).map(({ key }) => key);
  const isBase = ({ metadata }: RawSample) => metadata?.["base"] === true;
  const balance = (seen: (sample: RawSample) => boolean): DatasetSpec => {
    const base = keys((sample) => seen(sample) && isBase(sample));
    const variants = keys((sample) => seen(sample) && !isBase(sample));
    return {
      kind: "mixture",
      parts: [
        { dataset: { ...all, only: base }, weight: BASE_WEIGHT * base.length },
        { dataset: { ...all, only: variants }, weight: variants.length },
      ],
    };
  };
  const isSeen = ({ key }: RawSample) => !hidden.has(key);
  return {
    all,
    training: { ...all, exclude: withheld },
    withheld: { ...all, only: withheld },
    withheldBase: { ...all, only: keys((sample) => !isSeen(sample) && isBase(sample)) },
    balanced: balance(isSeen),
    allBalanced: balance(() => true),
    texts: samples.filter(isSeen).flatMap(textsOf),
  };
}

async function readAll(spec: DatasetSpec): Promise<RawSample[]> {
  const dataset = await openDataset(spec);
  if (dataset.kind !== "indexed")
    throw new NijimiError("unsupported", `${dataset.name} is too large to be the emoji shards.`);
  return Promise.all(Array.from({ length: dataset.size }, (_, i) => dataset.read(i)));
}

function textsOf({ caption = "", metadata }: RawSample): string[] {
  const tags = Array.isArray(metadata?.["tags"]) ? (metadata["tags"] as string[]) : [];
  return [caption, ...tags];
}
