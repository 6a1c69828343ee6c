/** A1111's noise: per-image seeds, variation seeds, seed resize, and the slerp they use. */
import { imageNoise, slerp } from "nijimi/diffusion";
import { float32, type Tensor } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";

type F32 = Tensor<"float32">;

export const suite: Suite = {
  kind: "image-noise",
  accepts: ({ json }) =>
    json.function === "modules.rng.ImageRNG" || json.function === "modules/rng.py slerp",
  async run(c) {
    return c.json.function === "modules.rng.ImageRNG"
      ? [...compareImageNoise(c), ...compareSlerp(c, "slerp_")]
      : compareSlerp(c, "");
  },
};

/** Tensors `out.<CPU|NV>.<case>.<first|second|third>`. */
function compareImageNoise(c: Case): Comparison[] {
  const config = c.json.config as {
    shape: [number, number, number];
    seeds: number[];
    cases: unknown;
    eta_noise_seed_delta?: number;
  };
  const cases = readCases(config.cases);
  const tensors = c.tensors();
  const names = Object.keys(tensors).filter((name) => name.endsWith(".first"));
  return names.flatMap((name) => {
    const [, source, kind] = name.split(".");
    const [variationSeeds, variationStrength, pixels] = optionsOf(kind, cases);
    const { start, steps } = imageNoise({
      shape: config.shape,
      seeds: config.seeds,
      variationSeeds,
      variationStrength,
      resizeFrom: pixels && [Math.trunc(pixels[0] / 8), Math.trunc(pixels[1] / 8)],
      stepSeedDelta: config.eta_noise_seed_delta,
      source: source === "NV" ? "nv" : "cpu",
    });
    const draw = () => steps(start.shape, { sigma: 1, sigmaNext: 0 });
    return ["first", "second", "third"].flatMap((which) => {
      const key = `out.${source}.${kind}.${which}`;
      const got = which === "first" ? start : draw();
      return tensors[key] ? [compareTensors(key, got, tensors[key], c.json.tolerance)] : [];
    });
  });
}

type Cases = Readonly<Record<string, unknown>>;

/** The cases are written as a Python literal. */
function readCases(cases: unknown): Cases {
  return typeof cases === "string"
    ? (JSON.parse(cases.replaceAll("'", '"')) as Cases)
    : ((cases ?? {}) as Cases);
}

function optionsOf(kind: string, cases: Cases): [number[]?, number?, [number, number]?] {
  switch (kind) {
    case "subseed":
      return cases["subseed"] as [number[], number];
    case "resize":
      return [undefined, undefined, cases["resize_from_px"] as [number, number]];
    case "subseed_resize":
      return cases["subseed_resize"] as [number[], number, [number, number]];
    default:
      return [];
  }
}

/** Tensors `out.<prefix>val<weight>`, and of nearly parallel noises. */
function compareSlerp(c: Case, prefix: string): Comparison[] {
  const tensors = c.tensors();
  const low = tensors[`in.${prefix}low`] as F32;
  const high = tensors[`in.${prefix}high`] as F32;
  return Object.entries(tensors).flatMap(([name, expected]) => {
    const [, kind, weight] =
      new RegExp(`^out\\.${prefix}(val|parallel_|near|)([\\d.]*)$`).exec(name) ?? [];
    if (kind === undefined) return [];
    if (kind === "near") {
      // a quarter of the way to a noise that is higher by 1e-4 everywhere
      const near = float32(
        low.shape,
        low.data.map((value) => value + 1e-4),
      );
      return [compareTensors(name, slerp(0.25, low, near), expected, c.json.tolerance)];
    }
    if (kind === "parallel_") {
      const from = tensors["in.low_parallel"] as F32;
      const parallel = float32(
        from.shape,
        from.data.map((value) => Math.fround(value * Math.fround(1.0001))),
      );
      return [
        compareTensors(name, slerp(Number(weight), from, parallel), expected, c.json.tolerance),
      ];
    }
    return [compareTensors(name, slerp(Number(weight), low, high), expected, c.json.tolerance)];
  });
}
