/** Whole evaluations of small image sets with known answers, with a network that needs no weights. */
import { describe, expect, test } from "vitest";
import type { Raster } from "../../data/sample.ts";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { moments } from "../moments.ts";
import { describeNetwork } from "../networks/feature-network.ts";
import { pixelNetwork } from "../networks/pixels.ts";
import { measure } from "../streaming.ts";
import { toRgb } from "../networks/rgb.ts";
import { evaluate } from "./evaluate.ts";
import { firstOf, imageSetOf } from "./image-sets.ts";
import { htmlReport } from "./report-html.ts";
import { textReport } from "./report-text.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot-file.ts";
import type {
  EvaluationEvent,
  EvaluationOptions,
  EvaluationReport,
  ImageSet,
  SetItem,
  Snapshot,
  StatisticsInput,
} from "./types.ts";

const SIDE = 8;
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Coloured discs on a coloured ground, plus noise; different for every index and seed. */
function picture(index: number, seed: number, noise = 0): Raster {
  const uniform = torchGenerator(1000 * seed + index).rand([8]).data;
  const grain = torchGenerator(77_000 + 1000 * seed + index).randn([SIDE * SIDE * 3]).data;
  const [cx, cy, r] = [2 + 4 * uniform[0], 2 + 4 * uniform[1], 1 + 2 * uniform[2]];
  const data = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => {
    const [pixel, c] = [Math.floor(i / 3), i % 3];
    const inside = Math.hypot((pixel % SIDE) - cx, Math.floor(pixel / SIDE) - cy) < r;
    const value = 255 * (inside ? uniform[3 + c] : uniform[7]) + noise * grain[i];
    return Math.max(0, Math.min(255, Math.round(value)));
  });
  return { width: SIDE, height: SIDE, channels: 3, data };
}

function setOf(name: string, items: readonly SetItem[]): ImageSet {
  return {
    name,
    size: items.length,
    async *items(from) {
      yield* items.slice(from);
    },
  };
}

const discs = (count: number, seed: number, noise = 0): SetItem[] =>
  range(count).map((i) => ({ key: `${seed}/${i}.png`, image: picture(i, seed, noise) }));

const features = pixelNetwork(4);
const options = (
  figures: EvaluationOptions["figures"],
  more: Partial<EvaluationOptions> = {},
): EvaluationOptions => ({
  figures,
  networks: { features },
  ...more,
});

async function run(
  ...args: Parameters<typeof evaluate>
): Promise<{ report: EvaluationReport; events: EvaluationEvent[] }> {
  const events: EvaluationEvent[] = [];
  for await (const event of evaluate(...args)) events.push(event);
  const last = events.at(-1)!;
  if (last.kind !== "report") throw new Error("no report");
  return { report: last.report, events };
}

const valueOf = (report: EvaluationReport, name: string): number =>
  report.figures.find((figure) => figure.name === name)!.value;

const FD = "FD (pixels 4×4)";
const COPIED = "Copied share (pixels 4×4)";

describe("evaluate", () => {
  const reference = setOf("reference", discs(200, 1));

  test("a set against itself is at distance 0 and copied throughout", async () => {
    const { report } = await run(
      setOf("same", discs(200, 1)),
      reference,
      options(["fid", "kid", "prdc", "memorisation"]),
    );
    expect(Math.abs(valueOf(report, FD))).toBeLessThan(1e-6);
    expect(valueOf(report, "Precision (pixels 4×4)")).toBe(1);
    expect(valueOf(report, "Recall (pixels 4×4)")).toBe(1);
    expect(valueOf(report, COPIED)).toBe(1);
    expect(report.neighbours[0].neighbours[0].distance).toBe(0);
    expect(report.warnings.join()).toMatch(/200 of 200 generated pictures look copied/);
  });

  test("more noise is further away", async () => {
    const distances: number[] = [];
    for (const noise of [0, 20, 50, 100]) {
      const { report } = await run(
        setOf("noisy", discs(200, 2, noise)),
        reference,
        options(["fid"]),
      );
      distances.push(valueOf(report, FD));
    }
    for (let i = 1; i < distances.length; i++)
      expect(distances[i]).toBeGreaterThan(distances[i - 1]);
  });

  test("order changes nothing", async () => {
    const items = discs(150, 2);
    const figures = ["fid", "kid", "prdc", "memorisation"] as const;
    const { report } = await run(setOf("set", items), reference, options(figures));
    const backwards = await run(
      setOf("set", items.toReversed()),
      reference,
      options(figures, { batchSize: 7 }),
    );
    report.figures.forEach(({ value }, i) =>
      expect(backwards.report.figures[i].value).toBeCloseTo(value, 9),
    );
    expect(backwards.report.neighbours).toEqual(report.neighbours);
  });

  test("copies among new pictures are found by name", async () => {
    const [a, b] = [discs(200, 1)[5], discs(200, 1)[9]];
    const items = [...discs(30, 2), { ...a, key: "copy-a.png" }, { ...b, key: "copy-b.png" }];
    const { report } = await run(setOf("set", items), reference, options(["memorisation"]));
    const copied = report.neighbours.filter((row) => row.copied);
    expect(copied.map(({ key }) => key)).toEqual(["copy-a.png", "copy-b.png"]);
    expect(copied.map(({ neighbours }) => neighbours[0].key)).toEqual(["1/5.png", "1/9.png"]);
  });

  test("goes on from a snapshot to the same report", async () => {
    const generated = setOf("generated", discs(100, 2));
    const settings = options(["fid", "kid", "prdc"], { snapshotEvery: 32, batchSize: 8 });
    const whole = await run(generated, reference, settings);
    const snapshots: Uint8Array[] = [];
    for await (const event of evaluate(generated, reference, settings))
      if (event.kind === "snapshot") snapshots.push(encodeSnapshot(event.snapshot));
    expect(snapshots.length).toBeGreaterThan(5);
    for (const bytes of [snapshots[1], snapshots[4], snapshots.at(-1)!]) {
      const resumed = await run(generated, reference, {
        ...settings,
        resume: decodeSnapshot(bytes),
      });
      expect(resumed.report).toEqual(whole.report);
    }
    const stale: Snapshot = decodeSnapshot(snapshots[0]);
    await expect(run(generated, reference, { ...options(["fid"]), resume: stale })).rejects.toThrow(
      /other settings/,
    );
  });

  test("statistics stand in for the reference, those of other networks do not", async () => {
    const generated = setOf("generated", discs(100, 2));
    const batch = await features.embed(discs(200, 1).map(({ image }) => toRgb(image)));
    const statistics = await measure(moments(48), [batch.features]);
    const saved: StatisticsInput = {
      name: "stats.npz",
      statistics,
      computedWith: describeNetwork(features),
    };
    const fromPictures = await run(generated, reference, options(["fid"]));
    const fromFile = await run(generated, saved, options(["fid"]));
    expect(valueOf(fromFile.report, FD)).toBeCloseTo(valueOf(fromPictures.report, FD), 9);
    const unknown = await run(generated, { name: "stats.npz", statistics }, options(["fid"]));
    expect(unknown.report.warnings.join()).toMatch(/does not say what it was computed with/);
    const other = { ...saved, computedWith: "inception-v3 (fid-inception), resize clean" };
    await expect(run(generated, other, options(["fid"]))).rejects.toThrow(
      /cannot be compared with pixels 4×4/,
    );
    await expect(run(generated, saved, options(["kid"]))).rejects.toThrow(/kid needs the pictures/);
  });

  test("paired figures compare picture by picture", async () => {
    const clean = setOf("clean", discs(20, 1).map(enlarged));
    const noisy = setOf("noisy", discs(20, 1, 10).map(enlarged));
    const { report } = await run(clean, noisy, options(["psnr", "ssim"]));
    expect(valueOf(report, "PSNR")).toBeGreaterThan(25);
    expect(valueOf(report, "PSNR")).toBeLessThan(35);
    expect(valueOf(report, "SSIM")).toBeLessThan(1);
    const same = await run(clean, clean, options(["psnr", "ssim"]));
    expect(valueOf(same.report, "PSNR")).toBe(100);
    expect(valueOf(same.report, "SSIM")).toBeCloseTo(1, 12);
    await expect(run(clean, firstOf(noisy, 10), options(["psnr"]))).rejects.toThrow(
      /ends after 10 pictures/,
    );
  });
});

/** Each pixel as 2 × 2: large enough for the window of SSIM. */
function enlarged({ key, image: { data } }: SetItem): SetItem {
  const side = 2 * SIDE;
  const out = Uint8Array.from({ length: side * side * 3 }, (_, i) => {
    const [pixel, c] = [Math.floor(i / 3), i % 3];
    return data[((pixel / side) >> 1) * SIDE * 3 + ((pixel % side) >> 1) * 3 + c];
  });
  return { key, image: { width: side, height: side, channels: 3, data: out } };
}

describe("what is unusual is said", () => {
  const reference = setOf("reference", discs(60, 1));

  test("fewer pictures than dimensions, with the size of the bias", async () => {
    const { report } = await run(setOf("few", discs(20, 2)), reference, options(["fid"]));
    expect(report.warnings.join()).toMatch(
      /20 pictures, fewer than the 48 dimensions.*two halves of it \(10 pictures each\) are \d/,
    );
  });

  test("mixed sizes, grey and transparent pictures", async () => {
    const grey: SetItem = {
      key: "grey",
      image: { width: 4, height: 5, channels: 1, data: new Uint8Array(20).fill(9) },
    };
    const clear: SetItem = {
      key: "clear",
      image: { width: 4, height: 4, channels: 4, data: new Uint8Array(64).fill(128) },
    };
    const { report } = await run(
      setOf("mixed", [...discs(60, 2), grey, clear]),
      reference,
      options(["fid"]),
    );
    const warnings = report.warnings.join("\n");
    expect(warnings).toMatch(/generated set has pictures of 3 sizes/);
    expect(warnings).toMatch(/1 of 62 pictures of the generated set are grey/);
    expect(warnings).toMatch(/1 of 62 pictures of the generated set have transparency/);
    expect(report.generated.sizes).toEqual({ "8×8": 60, "4×4": 1, "4×5": 1 });
  });

  test("corrupt pictures end it with their name", async () => {
    const broken = imageSetOf(
      {
        kind: "indexed",
        name: "folder",
        size: 2,
        key: (i) => `${i}.png`,
        read: async (i) => ({ key: `${i}.png`, image: Uint8Array.of(1, 2, 3) }),
      },
      async () => {
        throw new Error("not a PNG");
      },
    );
    await expect(run(broken, reference, options(["fid"]))).rejects.toThrow(
      /0\.png cannot be decoded: not a PNG/,
    );
  });

  test("empty sets, unknown figures and missing networks are refused", async () => {
    await expect(run(setOf("nothing", []), reference, options(["fid"]))).rejects.toThrow(
      /nothing holds no pictures/,
    );
    await expect(run(reference, reference, options(["fdi" as "fid"]))).rejects.toThrow(
      /Did you mean "fid"/,
    );
    await expect(run(reference, reference, options(["clip-score"]))).rejects.toThrow(
      /clip-score needs a CLIP model/,
    );
    await expect(run(reference, reference, options(["is"]))).rejects.toThrow(
      /logits; pixels 4×4 has none/,
    );
    await expect(run(reference, undefined, options(["fid"]))).rejects.toThrow(
      /fid needs a reference set/,
    );
  });

  test("cancelling stops it", async () => {
    const controller = new AbortController();
    const events = evaluate(
      reference,
      reference,
      options(["fid"], { signal: controller.signal, batchSize: 4 }),
    );
    await events.next();
    await events.next();
    controller.abort(new Error("enough"));
    await expect(events.next()).rejects.toThrow("enough");
  });
});

describe("reports", () => {
  test("as text and HTML name figures, conditions and warnings, and escape what comes from outside", async () => {
    const items = discs(60, 2).map((item) => ({ ...item, key: `<b>${item.key}` }));
    const reference = setOf("reference", discs(60, 1));
    const { report } = await run(
      setOf("<script>", items),
      reference,
      options(["fid", "prdc", "memorisation"]),
    );
    const text = textReport(report);
    expect(text).toContain(FD);
    expect(text).toContain("k = 3");
    const html = htmlReport(report, {
      thumbnails: {
        generated: new Map([["<b>2/0.png", "data:image/png;base64,AA=="]]),
        reference: new Map(),
      },
    });
    expect(html).toContain(FD);
    expect(html).not.toContain("<script>");
    expect(html).not.toContain("<b>2/");
    expect(html).toContain("<svg");
  });
});
