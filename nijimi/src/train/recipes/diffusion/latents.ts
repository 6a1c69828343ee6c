/** Pictures encoded once, before training, and kept beside the run. */
import { openCheckpoint } from "../../../checkpoints/open-checkpoint.ts";
import { saveSafetensors } from "../../../checkpoints/save-safetensors.ts";
import { loadBatches } from "../../../data/loader.ts";
import type { DatasetSpec } from "../../../data/open-dataset.ts";
import type { ImageOptions } from "../../../data/transform/options.ts";
import type { TorchGenerator } from "../../../tensor/random/torch.ts";
import { concatenate } from "../../../tensor/shape.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { LatentCodec } from "./latent-codec.ts";

/** What the data says of a picture. */
export interface PictureFacts {
  readonly key: string;
  readonly caption: string;
  readonly label?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Encoded pictures with what the data says about them. */
export interface EncodedSet {
  /** Not scaled: [N, 2C, h, w], means and log-variances; [N, C, h, w] for a codebook's encoder. */
  readonly moments: Tensor<"float32">;
  readonly facts: readonly PictureFacts[];
}

/** What is encoded, by what. */
export interface EncodeOptions {
  readonly dataset: DatasetSpec;
  readonly image: ImageOptions;
  readonly codec: LatentCodec;
  /** File that holds the result of an earlier call; written where it does not fit. */
  readonly cache: string;
}

const BATCH = 8;

/** Encodes a set, or reads what was encoded before with the same weights. */
export async function encodeSet(options: EncodeOptions): Promise<EncodedSet> {
  const cached = await readCache(options);
  const parts: Tensor<"float32">[] = [];
  const facts: PictureFacts[] = [];
  for await (const { images, keys, captions, labels, metadata } of loadBatches(options.dataset, {
    batchSize: BATCH,
    image: options.image,
    shuffle: false,
    dropLast: false,
    epochs: 1,
    workers: 0,
  })) {
    keys.forEach((key, i) =>
      facts.push({
        key,
        caption: captions?.[i] ?? "",
        ...(labels && { label: Number(labels.data[i]) }),
        metadata: metadata[i],
      }),
    );
    if (cached === undefined) parts.push(await options.codec.encode(images));
  }
  const moments = cached ?? concatenate(parts);
  if (cached === undefined)
    await saveSafetensors(
      options.cache,
      { moments },
      { metadata: { fingerprint: fingerprint(options) } },
    );
  return { moments, facts };
}

/** A scaled latent of picture `index`, [C, h, w]: drawn from its posterior, or the codebook encoder's as it is. */
export function drawLatent(
  { shape: [, channels, height, width], data }: Tensor<"float32">,
  index: number,
  random: TorchGenerator,
  { scale, isGaussian }: Pick<LatentCodec, "scale" | "isGaussian">,
): Tensor<"float32"> {
  const shape = [isGaussian ? channels / 2 : channels, height, width];
  const size = shape[0] * height * width;
  if (!isGaussian) {
    const own = data.subarray(size * index, size * (index + 1));
    return { dtype: "float32", shape, data: own.map((value) => scale * value) };
  }
  const start = 2 * size * index;
  const noise = random.randn(shape);
  const latent = noise.data.map((z, i) => {
    const logVariance = Math.min(20, Math.max(-30, data[start + size + i]));
    return scale * (data[start + i] + Math.exp(0.5 * logVariance) * z);
  });
  return { ...noise, data: latent };
}

async function readCache(options: EncodeOptions): Promise<Tensor<"float32"> | undefined> {
  const checkpoint = await openCheckpoint(options.cache).catch(() => undefined);
  if (checkpoint === undefined) return undefined;
  try {
    if (checkpoint.metadata["fingerprint"] !== fingerprint(options)) return undefined;
    return (await checkpoint.entries["moments"].read()) as Tensor<"float32">;
  } finally {
    await checkpoint.close();
  }
}

/** Differs where weights, pictures or their size do. */
function fingerprint({ dataset, image, codec }: EncodeOptions): string {
  let sum = 0;
  let squares = 0;
  for (const { data } of Object.values(codec.network.tensors))
    for (const value of data as Float32Array) {
      sum += value;
      squares += value * value;
    }
  return JSON.stringify({ dataset, image, sum, squares });
}
