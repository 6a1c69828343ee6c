/**
 * Metrics on real pictures, with known answers: the CIFAR-10 test images of a `data` folder that NIJIMI_DATA names.
 * Features are colours, and those of a narrow FID Inception from a committed case.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openDataset } from "nijimi/data";
import { decodeImage } from "nijimi/images";
import {
  evaluate,
  type EvaluationReport,
  type FeatureNetwork,
  type FigureName,
  firstOf,
  imageSetOf,
  type ImageSet,
  inceptionOfWeights,
  pixelNetwork,
  type SetItem,
} from "nijimi/metrics";
import { torchGenerator } from "nijimi/tensor";
import { parseSafetensors } from "nijimi/checkpoints";

const data = process.env["NIJIMI_DATA"];
const NARROW = "../cases/authors/fid_net/fid_inception_narrow.safetensors";
const COUNT = 1200;
const LIMIT = 240_000;

describe.skipIf(data === undefined)("metrics on CIFAR-10", () => {
  let items: SetItem[];

  beforeAll(async () => {
    const files = path.join(data!, "cifar10-test.tar.gz");
    const decode = async (bytes: Uint8Array) => {
      const { width, height, channels, data: samples } = await decodeImage(bytes, { bitDepth: 8 });
      return { width, height, channels, data: samples as Uint8Array };
    };
    const set = imageSetOf(await openDataset({ kind: "webdataset", files }), decode);
    items = [];
    for await (const item of firstOf(set, COUNT).items(0)) items.push(item);
  }, LIMIT);

  /** Networks with the number of pictures they see. */
  const networks: readonly [string, number, () => Promise<FeatureNetwork>][] = [
    ["pixels", COUNT, async () => pixelNetwork(8)],
    ["a narrow Inception", 200, narrowInception],
  ];

  test.each(networks)(
    "more noise is further away in the features of %s",
    async (_, count, open) => {
      const features = await open();
      const reference = setOf("reference", items.slice(0, count));
      const distances: number[] = [];
      for (const noise of [0, 8, 24, 72]) {
        const noisy = items.slice(0, count).map((item, i) => withNoise(item, noise, i));
        const { figures } = await measure(setOf("noisy", noisy), reference, features, ["fid"]);
        distances.push(figures[0].value);
      }
      await features.dispose();
      expect(Math.abs(distances[0])).toBeLessThan(1e-6);
      for (let i = 1; i < distances.length; i++)
        expect(distances[i]).toBeGreaterThan(2 * distances[i - 1]);
    },
    LIMIT,
  );

  test.each(networks)(
    "a set is at distance 0 from itself in another order, in %s",
    async (_, count, open) => {
      const features = await open();
      const set = items.slice(0, count);
      const backwards = setOf("backwards", set.toReversed());
      const { figures } = await measure(setOf("set", set), backwards, features, ["fid"]);
      await features.dispose();
      expect(Math.abs(figures[0].value)).toBeLessThan(1e-6);
    },
    LIMIT,
  );

  test("copies among new pictures are found, and nothing else", async () => {
    const training = items.slice(0, 1000);
    const generated = [
      ...items.slice(1000),
      ...items
        .slice(0, 20)
        .map((item, i) => ({ ...withNoise(item, 2, i), key: `copy-${item.key}` })),
    ];
    const report = await measure(
      setOf("generated", generated),
      setOf("training", training),
      pixelNetwork(8),
      ["memorisation"],
    );
    const found = report.neighbours.filter(({ copied }) => copied);
    expect(found.filter(({ key }) => key.startsWith("copy-")).length).toBe(20);
    for (const { key, neighbours } of found.slice(0, 20))
      expect(key).toBe(`copy-${neighbours[0].key}`);
    expect(found.length).toBeLessThanOrEqual(22);
  });
});

async function narrowInception(): Promise<FeatureNetwork> {
  const file = path.join(import.meta.dirname, NARROW);
  const tensors = Object.entries(parseSafetensors(readFileSync(file))).flatMap(([name, value]) =>
    name.startsWith("w.") ? [[name.slice(2), value] as const] : [],
  );
  const weights = { name: "narrow", sha256: "0".repeat(64), tensors: Object.fromEntries(tensors) };
  return inceptionOfWeights(weights, { resize: "legacy-pytorch" });
}

function setOf(name: string, all: readonly SetItem[]): ImageSet {
  return {
    name,
    size: all.length,
    async *items(from) {
      yield* all.slice(from);
    },
  };
}

function withNoise({ key, image }: SetItem, std: number, seed: number): SetItem {
  if (std === 0) return { key, image };
  const noise = torchGenerator(seed).randn([image.data.length]).data;
  const noisy = Uint8Array.from(image.data, (value, i) =>
    Math.max(0, Math.min(255, Math.round(value + std * noise[i]))),
  );
  return { key, image: { ...image, data: noisy } };
}

async function measure(
  generated: ImageSet,
  reference: ImageSet,
  features: FeatureNetwork,
  figures: readonly FigureName[],
): Promise<EvaluationReport> {
  for await (const event of evaluate(generated, reference, {
    figures,
    networks: { features },
    batchSize: 64,
  }))
    if (event.kind === "report") return event.report;
  throw new Error("no report");
}
