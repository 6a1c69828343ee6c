/** What is noised: pictures themselves, or their latents. */
import type { SavedComponent } from "../../../checkpoints/save-folder.ts";
import type { DatasetSpec } from "../../../data/open-dataset.ts";
import { mixture } from "../../../data/sources/derived.ts";
import type { ImageOptions } from "../../../data/transform/options.ts";
import { stack } from "../../../tensor/shape.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { HostTensors } from "../../compile-program.ts";
import type { Feed } from "../../feed.ts";
import type { BuildContext } from "../../recipe.ts";
import { imageFeed, type TrainingImages } from "../image-feed.ts";
import { indexedFeed, indices } from "../indexed-feed.ts";
import { readTrained } from "../trained.ts";
import type { ConditionedSample } from "./condition.ts";
import { latentCodec } from "./latent-codec.ts";
import { drawLatent, encodeSet, type EncodedSet } from "./latents.ts";

/** A space that diffusion happens in. */
export interface Space {
  /** [C, H, W] */
  readonly shape: readonly number[];
  /** Batches, each made of data [B, C, H, W] and what is known of it. */
  feed(
    make: (x0: Tensor<"float32">, samples: readonly ConditionedSample[]) => HostTensors,
    order: { readonly seed: number; readonly batchSize: number },
  ): Feed;
  /** Data as pictures in −1 … 1. */
  show(x: Tensor<"float32">): Promise<Tensor<"float32">>;
  /** What goes into the model's folder. */
  readonly components: Readonly<Record<string, SavedComponent>>;
  dispose(): Promise<void>;
}

/** Pictures as they are. */
export function pixelSpace(
  data: TrainingImages,
  size: number,
  { rank, workers }: Pick<BuildContext, "rank" | "workers">,
): Space {
  return {
    shape: [3, size, size],
    feed: (make, order) =>
      imageFeed(
        data,
        ({ images, captions = [], labels, metadata }, { perSample }) =>
          make(
            images,
            perSample.map((random, i) => ({
              caption: captions[i] ?? "",
              ...(labels && { label: Number(labels.data[i]) }),
              metadata: metadata[i],
              random,
            })),
          ),
        { ...order, rank, workers },
      ),
    show: async (x) => x,
    components: {},
    dispose: async () => {},
  };
}

/** What is encoded for a latent space. */
export interface LatentData {
  readonly training: DatasetSpec;
  readonly image: ImageOptions;
  /** How often a sample is drawn, relative to the others; by its key and metadata. @default 1 */
  weight?(key: string, metadata: Readonly<Record<string, unknown>> | undefined): number;
}

/** The latents of a trained autoencoder, encoded once. */
export async function latentSpace(
  folder: string,
  data: LatentData,
  { rank, cacheFolder, threads }: Pick<BuildContext, "rank" | "cacheFolder" | "threads">,
): Promise<Space> {
  const codec = latentCodec(await readTrained(folder), threads);
  const encoded = await encodeSet({
    dataset: data.training,
    image: data.image,
    codec,
    cache: `${cacheFolder}/latents-${rank.index}.safetensors`,
  });
  const { set, pictures } = weighted(encoded, data);
  return {
    shape: codec.latentShape(encoded.moments.shape),
    feed: (make, order) =>
      indexedFeed(
        set,
        (chosen, { perSample }) => {
          const rows = Array.from(chosen, (index) => pictures[index]);
          const latents = perSample.map((random, i) =>
            drawLatent(encoded.moments, rows[i], random, codec),
          );
          const samples = perSample.map((random, i) => ({ ...encoded.facts[rows[i]], random }));
          return make(stack(latents), samples);
        },
        { ...order, rank },
      ),
    show: codec.decode,
    components: { [codec.componentName]: codec.component },
    dispose: codec.dispose,
  };
}

/** Indices of the encoded pictures, each group of equal weight drawn as often as it should. */
function weighted({ facts }: EncodedSet, { weight = () => 1 }: LatentData) {
  const groups = new Map<number, number[]>();
  facts.forEach(({ key, metadata }, i) => {
    const value = weight(key, metadata);
    const group = groups.get(value) ?? [];
    group.push(i);
    groups.set(value, group);
  });
  const set = mixture(
    [...groups].map(([value, { length }]) => ({
      dataset: indices(`weight ${value}`, length),
      weight: value * length,
    })),
  );
  // A mixture numbers its parts one after the other: `pictures` leads back to the set.
  return { set, pictures: [...groups.values()].flat() };
}
