/** A training of milliseconds on noise, with everything that a real one has. For tests. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mean, mul, scalar, square, sub } from "../../graph/ops.ts";
import { spec } from "../../graph/trace.ts";
import type { Batch } from "../../data/batches.ts";
import { clipLogits, contrastiveLoss } from "../../models/clip.ts";
import { linear } from "../../nn/basic.ts";
import { deriveSeed } from "../../tensor/random/derive.ts";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { stack } from "../../tensor/shape.ts";
import { feedFrom } from "../feed.ts";
import { adamW } from "../optimisers/adam.ts";
import { type CommonSettings, defineRecipe } from "../recipe.ts";

const BATCHES_PER_EPOCH = 7;

export const tinyRecipe = defineRecipe<
  CommonSettings & {
    /** Milliseconds that a batch takes to load. */
    readonly delay: number;
    /** Compare all pairs of a batch. */
    readonly contrastive: boolean;
  }
>({
  name: "tiny",
  description: "A linear map",
  facts: { data: "none", hours: 0, memoryGb: 0, expected: "nothing" },
  settings: { seed: 3, updates: 40, batchSize: 2, accumulate: 1, delay: 0, contrastive: false },
  build: async (settings, { rank }) => {
    const net = linear(64, 64);
    const load = async function* ({ epoch, batch }: { epoch: number; batch: number }) {
      for (; ; epoch++, batch = 0)
        for (; batch < BATCHES_PER_EPOCH; batch++) {
          await new Promise((resolve) => setTimeout(resolve, settings.delay));
          const first = (batch * rank.count + rank.index) * settings.batchSize;
          yield {
            position: { epoch, batch },
            next: { epoch, batch: batch + 1 },
            images: stack(
              Array.from({ length: settings.batchSize }, (_, i) =>
                torchGenerator(deriveSeed(settings.seed, "picture", epoch, first + i)).randn([64]),
              ),
            ),
            keys: [],
            metadata: [],
            broken: [],
          } satisfies Batch;
        }
    };
    return {
      program: {
        players: {
          model: {
            parameters: net.parameters,
            optimiser: adamW(),
            learningRate: () => 1e-2,
            ema: { decay: 0.9 },
          },
        },
        batch: {
          x: spec("float32", [settings.batchSize, 64]),
          noise: spec("float32", [settings.batchSize, 64]),
        },
        ...(settings.contrastive && {
          embed: ({ scopes: { model }, batch: { x } }) => ({ x, y: net.apply(model, "", x) }),
        }),
        losses: ({ scopes: { model }, batch: { x, noise }, embeds }) => ({
          losses: {
            model: settings.contrastive
              ? contrastiveLoss(clipLogits(embeds["x"], embeds["y"], scalar(1)))
              : mean(square(sub(net.apply(model, "", x), mul(noise, 0.1)))),
          },
        }),
      },
      feed: feedFrom(
        load,
        ({ images }, { perSample }) => ({
          x: images,
          noise: stack(perSample.map((random) => random.randn([64]))),
        }),
        { seed: settings.seed, batchSize: settings.batchSize, rank },
      ),
      preview: async () => [{ name: "noise", images: torchGenerator(1).randn([4, 3, 8, 8]) }],
      evaluate: async ({ model }) => ({ first: Number(model["parameters"].data[0]) }),
      save: async ({ model }, folder) => {
        await mkdir(folder, { recursive: true });
        const { buffer, byteOffset, byteLength } = model["parameters"].data as Float32Array;
        await writeFile(join(folder, "model.bin"), new Uint8Array(buffer, byteOffset, byteLength));
      },
    };
  },
});
