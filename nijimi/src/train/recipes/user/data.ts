/** A user's own pictures as recipes take them: what is trained on, what is kept for figures, what is said of them. */
import { datasetAt } from "../../../data/dataset-at.ts";
import { type DatasetSpec, openDataset } from "../../../data/open-dataset.ts";
import type { Dataset } from "../../../data/sample.ts";
import { NijimiError } from "../../../errors.ts";
import { deriveSeed } from "../../../tensor/random/derive.ts";
import type { TrainingImages } from "../image-feed.ts";

/** Settings of recipes that train on a user's pictures. */
export interface UserDataSettings {
  /** Folder, shards, Parquet, CIFAR's or MNIST's files. */
  readonly data: string;
  /** Side of the squares that pictures are cut to. */
  readonly size: number;
  /** Colour behind transparent pictures, red, green and blue to 255. */
  readonly background: readonly number[];
  /** Share of mirrored pictures. */
  readonly flip: number;
  /** Smallest share of a picture's area that a random cut keeps; 1 cuts nothing away. */
  readonly crop: number;
}

export const USER_DATA_DEFAULTS = {
  data: "",
  size: 64,
  background: [255, 255, 255],
  flip: 0.5,
  crop: 1,
} as const satisfies UserDataSettings;

/** The parts of a user's set. */
export interface UserData extends TrainingImages {
  /** Kept from training; of streamed and very small sets the training pictures themselves. */
  readonly heldOut: DatasetSpec;
  /** Names of the classes, where there are labels. */
  readonly classes: readonly string[];
  /** Captions of the first pictures of the training part. */
  captions(limit: number): Promise<string[]>;
}

/** At most so many pictures are kept for figures, and at most one in so many. */
const HELD_OUT = 64;
const HELD_OUT_SHARE = 20;

/**
 * Opens the set at a path and divides it, by the pictures' keys alone, so that it is the same at every start.
 *
 * @throws NijimiError `option` without a path
 */
export async function userData(recipe: string, settings: UserDataSettings): Promise<UserData> {
  if (settings.data === "")
    throw new NijimiError(
      "option",
      `"${recipe}" trains on your pictures: --set data=FOLDER, or shards, .parquet, CIFAR's or MNIST's files.`,
    );
  const whole = await datasetAt(settings.data);
  const dataset = await openDataset(whole);
  const kept = keptKeys(dataset);
  const select = (part: object): DatasetSpec => ({ ...whole, ...part }) as DatasetSpec;
  const training = kept.length === 0 ? whole : select({ exclude: kept });
  const [red, green, blue] = settings.background;
  return {
    training,
    heldOut: kept.length === 0 ? whole : select({ only: kept }),
    image: { size: settings.size, background: [red, green, blue] },
    augment: {
      ...(settings.flip > 0 && { flip: settings.flip }),
      ...(settings.crop < 1 && { crop: { area: [settings.crop, 1] } }),
    },
    classes: dataset.classes ?? (await labelNames(dataset)),
    captions: async (limit) => captionsOf(await openDataset(training), limit),
  };
}

/** The keys with the smallest hashes. */
function keptKeys(dataset: Dataset): string[] {
  if (dataset.kind !== "indexed") return [];
  const count = Math.min(HELD_OUT, Math.floor(dataset.size / HELD_OUT_SHARE));
  return Array.from({ length: dataset.size }, (_, i) => dataset.key(i))
    .map((key) => ({ key, hash: deriveSeed(0, "held out", key) }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1))
    .slice(0, count)
    .map(({ key }) => key);
}

/** Classes of a set that has labels without names: their numbers. */
async function labelNames(dataset: Dataset): Promise<string[]> {
  if (dataset.kind !== "indexed") return [];
  let largest = -1;
  for (let i = 0; i < dataset.size; i++)
    largest = Math.max(largest, (await dataset.read(i)).label ?? -1);
  return Array.from({ length: largest + 1 }, (_, i) => String(i));
}

async function captionsOf(dataset: Dataset, limit: number): Promise<string[]> {
  const captions: string[] = [];
  const take = ({ caption }: { readonly caption?: string }) => {
    if (caption !== undefined && caption !== "") captions.push(caption);
  };
  if (dataset.kind === "indexed")
    for (let i = 0; i < Math.min(limit, dataset.size); i++) take(await dataset.read(i));
  else
    for (let shard = 0; shard < dataset.shards && captions.length < limit; shard++)
      for await (const sample of dataset.stream(shard)) {
        take(sample);
        if (captions.length >= limit) break;
      }
  return captions;
}
