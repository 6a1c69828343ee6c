/** The safety checker as the pipelines use it: it says what it thinks, and changes nothing. */
import type { Component } from "../../checkpoints/layouts/component.ts";
import { NijimiError } from "../../errors.ts";
import { spec } from "../../graph/trace.ts";
import type { Image } from "../../images/image.ts";
import { preprocessForClip } from "../../images/preprocess.ts";
import { readSafetyCheckerConfig, safetyChecker } from "../../models/safety-checker.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type Disposable, renewable } from "./renewable.ts";
import { bindWeights, type RuntimeOptions, sessionOptions } from "./weights.ts";

type F32 = Tensor<"float32">;

/** What the checker says of a picture. */
export interface SafetyVerdict {
  readonly flagged: boolean;
  /** Places, from 0, of the concepts that are above their thresholds; their names were not published. */
  readonly concepts: readonly number[];
  /** The same of those that make all thresholds lower. */
  readonly specialCare: readonly number[];
}

/** A safety checker. */
export interface SafetyChecker {
  check(images: readonly Image[]): Promise<SafetyVerdict[]>;
  release(): Promise<void>;
}

interface Session extends Disposable {
  run(pictures: F32): Promise<Readonly<Record<string, F32>>>;
}

/** The safety checker of a component. */
export function safetyNetwork(component: Component, options: RuntimeOptions): SafetyChecker {
  const config = readSafetyCheckerConfig(component.config);
  const net = safetyChecker(config);
  const names = Object.keys(net.parameters);
  const missing = names.find((name) => !(name in component.entries));
  if (missing !== undefined)
    throw new NijimiError("checkpoint", `The safety checker lacks ${missing}.`);
  const { numChannels, imageSize: size } = config;
  const sessions = renewable<null, Session>(
    async () => {
      const weights = await bindWeights(component, names, options);
      const run = await compile(
        ({ pictures }) => net.apply(parameterScope(), "", pictures),
        { pictures: spec("float32", ["batch", numChannels, size, size]) },
        { ...sessionOptions(options), ...weights },
      );
      return {
        dispose: () => run.dispose(),
        run: async (pictures) => (await run({ pictures })) as unknown as Record<string, F32>,
      };
    },
    (old) => old,
  );
  return {
    async check(images) {
      const pictures = preprocessForClip(images, { size, centring: "transformers" });
      const scores = await (await sessions.get(null)).run(pictures);
      return images.map((_, i) => verdict(scores, i));
    },
    release: () => sessions.release(),
  };
}

/** How much lower the thresholds are once special care is needed. */
const CARE = 0.01;

/** diffusers' rule: differences are rounded to three digits, and care begins with the first that is found. */
function verdict(scores: Readonly<Record<string, F32>>, row: number): SafetyVerdict {
  let care = 0;
  const above = (name: string, thresholds: Float32Array, careful: boolean): number[] => {
    const cosines = scores[name].data;
    const found: number[] = [];
    thresholds.forEach((threshold, i) => {
      const excess = cosines[row * thresholds.length + i] - threshold + care;
      if (Math.round(excess * 1000) <= 0) return;
      found.push(i);
      if (careful) care = CARE;
    });
    return found;
  };
  const specialCare = above("specialCare", scores.specialCareThresholds.data, true);
  const concepts = above("concepts", scores.conceptThresholds.data, false);
  return { flagged: concepts.length > 0, concepts, specialCare };
}
