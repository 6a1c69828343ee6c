/**
 * Three training steps of a U-Net against torch and diffusers: noised inputs, prediction, weighted losses, every
 * gradient of the first step, then parameters and their average after AdamW.
 */
import { mean, mul, type Sym, spec } from "nijimi/graph";
import {
  readUnet2dConditionConfig,
  readUnet2dConfig,
  unet2d,
  unet2dCondition,
} from "nijimi/models";
import {
  addNoise,
  diffusionTables,
  DIFFUSERS_BETA_SCHEDULES,
  elementError,
  makeBetas,
  meanPerSample,
  minSnrWeight,
  mixtureAt,
  type PredictionType,
  snrOfAlphaBar,
  tracedTarget,
} from "nijimi/diffusion";
import { type FlatLayout, flatLayout, recordScope, type Scope, unflatten } from "nijimi/nn";
import { compile } from "nijimi/runtime";
import { float32, sizeOf, type Tensor, toFloat64 } from "nijimi/tensor";
import { adamW, applyGraph, CONTROL, emaDecay, gradientGraph, vectorSpecs } from "nijimi/train";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";
import { below, compareGradient, largestOf } from "./run-layer.ts";
import { float32Of, namedComparer } from "./named-values.ts";
import { conditionsOf } from "./unet-inputs.ts";

const PREDICTIONS: Readonly<Record<string, "eps" | "v" | "x0">> = {
  epsilon: "eps",
  v_prediction: "v",
  sample: "x0",
};

interface CaseFields {
  readonly config: {
    readonly model: Readonly<Record<string, unknown>>;
    readonly scheduler: Readonly<Record<string, never>>;
  };
  readonly losses: readonly number[];
  readonly adamw: {
    readonly lr: number;
    readonly betas: readonly [number, number];
    readonly weight_decay: number;
    readonly eps: number;
  };
  readonly snr_gamma?: number | null;
  readonly ema: {
    readonly decay: number;
    readonly use_ema_warmup: boolean;
    readonly inv_gamma: number;
    readonly power: number;
    readonly min_decay?: number;
    readonly update_after_step?: number;
    readonly decays_used?: readonly number[];
  };
}

export const suite: Suite = {
  kind: "training",
  accepts: ({ json }) => json.section === "training" && "adamw" in json && "losses" in json,
  run,
};

type Network = (scope: Scope, x: Sym, t: Sym, context: Readonly<Record<string, Sym>>) => Sym;

/** The case's network, and the layout of its parameters. */
function networkOf(model: Readonly<Record<string, unknown>>): {
  readonly network: Network;
  readonly layout: FlatLayout;
} {
  if ("cross_attention_dim" in model) {
    const net = unet2dCondition(readUnet2dConditionConfig(model));
    return {
      layout: flatLayout(net.parameters),
      network: (scope, sample, timestep, context) =>
        net.apply(scope, "", { sample, timestep, ...conditionsOf(context) }),
    };
  }
  const net = unet2d(readUnet2dConfig(model));
  return {
    layout: flatLayout(net.parameters),
    network: (scope, sample, timestep, context) =>
      net.apply(scope, "", { sample, timestep, classLabels: context["class_labels"] }),
  };
}

/** ᾱ and the rest of the case's scheduler. */
function tablesOf(scheduler: Readonly<Record<string, never>>) {
  return diffusionTables(
    makeBetas({
      schedule: DIFFUSERS_BETA_SCHEDULES[scheduler["beta_schedule"]],
      steps: scheduler["num_train_timesteps"],
      betaStart: scheduler["beta_start"],
      betaEnd: scheduler["beta_end"],
      trained: scheduler["trained_betas"],
      zeroTerminalSnr: scheduler["rescale_betas_zero_snr"] ?? false,
    }),
  );
}

async function run(c: Case): Promise<Comparison[]> {
  const json = c.json as unknown as CaseFields;
  const tensors = c.tensors();
  const compare = namedComparer(c);
  const { network, layout } = networkOf(json.config.model);
  const tables = tablesOf(json.config.scheduler);
  const prediction = PREDICTIONS[json.config.scheduler["prediction_type"]] as PredictionType;
  // Inputs of one step are numbered; those of all steps are not.
  const shared = Object.keys(below(tensors, "in.")).filter((name) => !/^\d/.test(name));
  const context = Object.fromEntries(
    shared.map((name) => {
      const { dtype, shape } = tensors[`in.${name}`];
      return [name, spec(dtype, shape)];
    }),
  );
  const batchSpecs = {
    x0: spec("float32", tensors["in.0.x0"].shape),
    noise: spec("float32", tensors["in.0.noise"].shape),
    t: spec("int64", tensors["in.0.timesteps"].shape),
    weights: spec("float32", tensors["in.0.timesteps"].shape),
    ...context,
  };
  type Batch = { readonly [K in keyof typeof batchSpecs]: Sym };

  const parts = (scope: Scope, { x0, noise, t, weights, ...rest }: Batch) => {
    const mixture = mixtureAt(tables, t);
    const xt = addNoise(x0, noise, mixture);
    const output = network(scope, xt, t, rest);
    const target = tracedTarget(prediction, x0, noise, mixture);
    return { xt, output, loss: mean(mul(meanPerSample(elementError(output, target)), weights)) };
  };
  const { lr, betas, weight_decay: weightDecay, eps } = json.adamw;
  const definition = { layout, optimiser: adamW({ betas, weightDecay, eps }), ema: true };
  const step = await compile(
    ({ vectors, batch, control }) => {
      const { loss, gradient } = gradientGraph(
        { layout, loss: (scope, given) => parts(scope, given as Batch) },
        vectors["parameters"],
        batch as never,
      );
      const forward = parts(recordScope(unflatten(vectors["parameters"], layout)), batch as Batch);
      return {
        loss,
        gradient,
        xt: forward.xt,
        output: forward.output,
        ...applyGraph(definition, vectors, gradient, control),
      };
    },
    { vectors: vectorSpecs(definition), batch: batchSpecs, control: CONTROL },
  );

  const flat = (prefix: string): Tensor<"float32"> => {
    const data = new Float32Array(layout.size);
    for (const [name, { offset }] of Object.entries(layout.entries))
      data.set(float32Of(c, prefix + name).data, offset);
    return float32([layout.size], data);
  };
  const largest = Math.max(...Object.values(below(tensors, "grad.w.")).map(largestOf));
  const gradientComparisons = (gradient: Tensor) =>
    slices(layout, gradient).map(({ name, value }) =>
      compareGradient(
        `grad.w.${name}`,
        value,
        tensors[`grad.w.${name}`],
        c.json.tolerance,
        largest,
      ),
    );
  // An average of parameters differs where they do: the rule of the parameters holds for it as well.
  const { adamw: rule, ...rest } = readRules(c);
  const updatedComparisons = (prefix: string, vector: Tensor) =>
    slices(layout, vector).map(({ name, value }) =>
      // Where the gradient is rounding noise, AdamW walks by the noise's sign: no two programs go the same way.
      largestOf(tensors[`grad.w.${name}`]) < 1e-5 * largest
        ? withinWalk(`${prefix}${name}`, value, tensors[`w.${name}`], 1.2 * lr * json.losses.length)
        : compareTensors(`${prefix}${name}`, value, tensors[`${prefix}${name}`], {
            ...rest,
            per_tensor: { "*": rule },
          }),
    );
  const zeros = () => float32([layout.size], new Float32Array(layout.size));
  let vectors: Record<string, Tensor> = {
    parameters: flat("w."),
    m: zeros(),
    v: zeros(),
    ema: flat("w."),
  };
  const results: Comparison[] = [];
  const losses: number[] = [];
  for (let i = 0; i < json.losses.length; i++) {
    const t = tensors[`in.${i}.timesteps`];
    const weights = toFloat64(t).map((at) =>
      json.snr_gamma === undefined || json.snr_gamma === null
        ? 1
        : minSnrWeight(
            prediction as "eps",
            snrOfAlphaBar(tables.alphasCumprod[at]),
            json.snr_gamma,
          ),
    );
    const decay = emaDecay(i + 1, {
      decay: json.ema.decay,
      warmup: json.ema.use_ema_warmup,
      invGamma: json.ema.inv_gamma,
      power: json.ema.power,
      minDecay: json.ema.min_decay,
      updateAfterStep: json.ema.update_after_step,
    });
    const scalar = (value: number) => float32([], [value]);
    const done = (await step({
      vectors,
      batch: {
        x0: tensors[`in.${i}.x0`],
        noise: tensors[`in.${i}.noise`],
        t,
        weights: float32(t.shape, weights),
        ...Object.fromEntries(shared.map((name) => [name, tensors[`in.${name}`]])),
      },
      control: { learningRate: scalar(lr), step: scalar(i + 1), emaDecay: scalar(decay) },
    } as never)) as unknown as Record<"loss" | "gradient" | "xt" | "output", Tensor> & {
      vectors: Record<string, Tensor>;
    };
    ({ vectors } = done);
    losses.push(Number(done.loss.data[0]));
    results.push(
      ...compare(`out.${i}.weights`, weights),
      ...compare(`in.${i}.xt`, numbers(done.xt)),
      ...compare(`out.${i}.prediction`, numbers(done.output)),
    );
    if (i === 0) results.push(...gradientComparisons(done.gradient));
  }
  await step.dispose();
  const { atol, rtol } = rest;
  return [
    ...results,
    ...losses.map((loss, i) => {
      const error = Math.abs(loss - json.losses[i]);
      return {
        name: `losses.${i}`,
        error,
        passed: error <= atol + rtol * Math.abs(json.losses[i]),
      };
    }),
    ...updatedComparisons("adamw.", vectors["parameters"]),
    ...updatedComparisons("ema.", vectors["ema"]),
  ];
}

const numbers = ({ data }: Tensor): Float32Array => data as Float32Array;

/** The tensors of a flat vector. */
function slices(
  { entries }: FlatLayout,
  vector: Tensor,
): readonly { readonly name: string; readonly value: Tensor }[] {
  return Object.entries(entries).map(([name, { offset, shape }]) => ({
    name,
    value: float32(shape, numbers(vector).slice(offset, offset + sizeOf(shape))),
  }));
}

/** The case's tolerance, and its rule for parameters after AdamW. */
function readRules(c: Case): {
  readonly atol: number;
  readonly rtol: number;
  readonly adamw: unknown;
} {
  const { atol = 0, rtol = 0, per_tensor: rules = {} } = c.json.tolerance ?? {};
  return { atol, rtol, adamw: rules["adamw.*"] ?? { atol, rtol } };
}

/** Passes when no value has moved further than AdamW can. */
function withinWalk(name: string, got: Tensor, start: Tensor, distance: number): Comparison {
  const from = numbers(start);
  const furthest = numbers(got).reduce((most, x, i) => Math.max(most, Math.abs(x - from[i])), 0);
  return { name, error: 0, passed: furthest <= distance };
}
