/** Pictures encoded once, before training: the moments of each one's posterior, kept beside the run. */
import { openCheckpoint } from "../../../checkpoints/open-checkpoint.ts";
import { saveSafetensors } from "../../../checkpoints/save-safetensors.ts";
import { loadBatches } from "../../../data/loader.ts";
import type { DatasetSpec } from "../../../data/open-dataset.ts";
import type { ImageOptions } from "../../../data/transform/options.ts";
import { spec } from "../../../graph/trace.ts";
import { autoencoderKl, readAutoencoderKlConfig } from "../../../models/autoencoder-kl.ts";
import { parameterScope } from "../../../nn/scopes.ts";
import { compile } from "../../../runtime/compile.ts";
import type { TorchGenerator } from "../../../tensor/random/torch.ts";
import { float32, type Tensor } from "../../../tensor/tensor.ts";
import type { TrainedNetwork } from "../trained.ts";

/** Encoded pictures with what the data says about them. */
export interface EncodedSet {
  /** [N, 2C, h, w]: means and log-variances, not scaled. */
  readonly moments: Tensor<"float32">;
  readonly keys: readonly string[];
  readonly captions: readonly string[];
  readonly metadata: readonly (Readonly<Record<string, unknown>> | undefined)[];
}

/** What is encoded, by what. */
export interface EncodeOptions {
  readonly dataset: DatasetSpec;
  readonly image: ImageOptions;
  readonly autoencoder: TrainedNetwork;
  /** File that holds the result of an earlier call; written where it does not fit. */
  readonly cache: string;
  readonly threads?: number;
}

const BATCH = 8;

/** Encodes a set, or reads what was encoded before with the same weights. */
export async function encodeSet(options: EncodeOptions): Promise<EncodedSet> {
  const cached = await readCache(options);
  const moments: Float32Array[] = [];
  const keys: string[] = [];
  const captions: string[] = [];
  const metadata: (Readonly<Record<string, unknown>> | undefined)[] = [];
  const encode = cached === undefined ? await compileEncoder(options) : undefined;
  let shape: readonly number[] = cached?.shape.slice(1) ?? [];
  for await (const batch of loadBatches(options.dataset, {
    batchSize: BATCH,
    image: options.image,
    shuffle: false,
    dropLast: false,
    epochs: 1,
    workers: 0,
  })) {
    keys.push(...batch.keys);
    captions.push(...(batch.captions ?? batch.keys.map(() => "")));
    metadata.push(...batch.metadata);
    if (encode === undefined) continue;
    const found = await encode({ images: batch.images });
    shape = found.shape.slice(1);
    moments.push(found.data as Float32Array);
  }
  await encode?.dispose();
  const all = cached ?? float32([keys.length, ...shape], join(moments));
  if (cached === undefined)
    await saveSafetensors(
      options.cache,
      { moments: all },
      { metadata: { fingerprint: fingerprint(options) } },
    );
  return { moments: all, keys, captions, metadata };
}

/** A latent of picture `index`, drawn from its posterior and scaled: [C, h, w]. */
export function drawLatent(
  { shape: [, channels, height, width], data }: Tensor<"float32">,
  index: number,
  random: TorchGenerator,
  scale: number,
): Tensor<"float32"> {
  const size = (channels / 2) * height * width;
  const start = 2 * size * index;
  const noise = random.randn([channels / 2, height, width]);
  const latent = noise.data.map((z, i) => {
    const logVariance = Math.min(20, Math.max(-30, data[start + size + i]));
    return scale * (data[start + i] + Math.exp(0.5 * logVariance) * z);
  });
  return { ...noise, data: latent };
}

async function compileEncoder({ autoencoder, threads }: EncodeOptions) {
  const net = autoencoderKl(readAutoencoderKlConfig(autoencoder.config));
  return compile(
    ({ images }) => net.encode.apply(parameterScope(), "", images),
    { images: spec("float32", ["n", 3, "height", "width"]) },
    { parameters: autoencoder.tensors, ...(threads !== undefined && { threads }) },
  );
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
function fingerprint({ dataset, image, autoencoder }: EncodeOptions): string {
  let sum = 0;
  let squares = 0;
  for (const { data } of Object.values(autoencoder.tensors))
    for (const value of data as Float32Array) {
      sum += value;
      squares += value * value;
    }
  return JSON.stringify({ dataset, image, sum, squares });
}

function join(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
