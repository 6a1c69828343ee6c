/**
 * diffusers' schedulers: tables, timesteps, levels, noised images and whole trajectories with the
 * closed-form network that the case describes. Class, config and the arguments of `set_timesteps`
 * and `step` are the case's.
 */
import {
  type DiffusersPlan,
  type DiffusersPlanOptions,
  type DiffusersScheduler,
  type DiffusersStepOptions,
  fromDiffusersConfig,
  type NoiseSource,
} from "nijimi/diffusion";
import { float32, type Tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareNumbers, compareTensors } from "../compare.ts";
import { ruleFor } from "../tolerance.ts";

type F32 = Tensor<"float32">;
type Tensors = Readonly<Record<string, Tensor>>;

const CLASS =
  /^diffusers\.(\w+Scheduler)\.(?:set_timesteps\/step\/add_noise|betas\/\.alphas_cumprod)$/;

export const suite: Suite = {
  kind: "schedulers",
  accepts: ({ json }) =>
    json.section === "schedulers" &&
    (CLASS.test(json.function ?? "") || json.function === "diffusers rescale_zero_terminal_snr"),
  async run(c) {
    const name = CLASS.exec(c.json.function!)?.[1] ?? "DDIMScheduler";
    const scheduler = fromDiffusersConfig(c.json.config!, name);
    const tensors = c.tensors();
    const compare = comparer(c, tensors);
    const comparisons = [
      ...compare("betas", scheduler.betas),
      ...compare("alphas_cumprod", scheduler.alphasCumprod),
    ];
    if (!tensors["timesteps"]) return comparisons;
    const plan = scheduler.plan(planOptions(c));
    return [
      ...comparisons,
      ...compare("table.alphas_cumprod", scheduler.alphasCumprod),
      ...compare("final_alpha_cumprod", [scheduler.finalAlphaCumprod ?? NaN]),
      ...compare("timesteps", plan.timesteps),
      ...compare("sigmas", plan.sigmas),
      compareNumbers(
        "init_noise_sigma",
        [plan.initNoiseSigma],
        [Number(c.json["init_noise_sigma"])],
        ruleFor("init_noise_sigma", c.json.tolerance, 0),
      ),
      ...compareNoising(scheduler, plan, compare, tensors),
      ...(await compareTrajectory(c, plan, compare, tensors)),
    ];
  },
};

type Compare = (name: string, got: ArrayLike<number> | undefined) => Comparison[];

/** Compares where the case has the tensor. */
function comparer(c: Case, tensors: Tensors): Compare {
  return (name, got) => {
    const expected = tensors[name];
    if (!expected) return [];
    const values = Float64Array.from(got ?? []);
    if (values.length === expected.data.length)
      return [
        compareTensors(
          name,
          { dtype: "float64", shape: expected.shape, data: values },
          expected,
          c.json.tolerance,
        ),
      ];
    return [compareNumbers(name, values, toFloat64(expected), {})];
  };
}

function planOptions(c: Case): DiffusersPlanOptions {
  const given = (c.json["set_timesteps_arguments"] ?? {}) as Readonly<Record<string, unknown>>;
  const { num_inference_steps: steps, original_inference_steps: originalSteps, ...rest } = given;
  return { ...rest, steps, originalSteps } as DiffusersPlanOptions;
}

function stepOptions(c: Case): DiffusersStepOptions {
  const given = (c.json["step_arguments"] ?? {}) as Readonly<Record<string, unknown>>;
  const camel = (key: string) => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [camel(key), value]));
}

/** `add_noise` and `get_velocity` for every timestep of the batch. */
function compareNoising(
  { name, alphasCumprod }: DiffusersScheduler,
  plan: DiffusersPlan,
  compare: Compare,
  tensors: Tensors,
): Comparison[] {
  const [clean, noise, at] = ["clean", "noise", "timesteps"].map(
    (key) => tensors[`addnoise.${key}`],
  );
  if (!clean) return [];
  const timesteps = [...toFloat64(at)];
  const rows = timesteps.map((t, b) =>
    plan.addNoiseAt(row(clean as F32, b), row(noise as F32, b), t),
  );
  const velocities = timesteps.map((t, b) => {
    // EulerDiscreteScheduler.get_velocity looks ᾱ up by the step's index
    const index =
      name === "EulerDiscreteScheduler"
        ? plan.timesteps.findIndex((other) => Math.abs(other - t) < 1e-3)
        : t;
    const alphaBar = alphasCumprod?.[index] ?? NaN;
    const x0 = row(clean as F32, b).data;
    return row(noise as F32, b).data.map(
      (e, i) => Math.sqrt(alphaBar) * e - Math.sqrt(1 - alphaBar) * x0[i],
    );
  });
  return [
    ...compare(
      "addnoise.out",
      rows.flatMap(({ data }) => [...data]),
    ),
    ...compare(
      "velocity.out",
      velocities.flatMap((data) => [...data]),
    ),
  ];
}

function row({ shape, data }: F32, b: number): F32 {
  const size = data.length / shape[0];
  return float32([1, ...shape.slice(1)], data.slice(b * size, (b + 1) * size));
}

/**
 * Runs the sampler, recording every call of the network: its inputs are the states between the
 * steps.
 */
async function compareTrajectory(
  c: Case,
  plan: DiffusersPlan,
  compare: Compare,
  tensors: Tensors,
): Promise<Comparison[]> {
  const {
    a = 0.3,
    b = 0.1,
    c: period = 100,
  } = (c.json["model_coefficients"] ?? {}) as { a?: number; b?: number; c?: number };
  const inputs: F32[] = [];
  const outputs: F32[] = [];
  const answered = new Map<number, F32>(); // x0 of a call that ended a step
  const withVariance = c.json["model_variance_channels"] !== undefined;
  const { noise, calls } = recordedNoise(c, tensors);
  const states: F32[] = [];
  const run = plan.run({
    x: tensors["in.sample"] as F32,
    noise,
    ...stepOptions(c),
    network(x, timestep) {
      inputs.push(x);
      calls.network++;
      const bias = b * Math.sin(timestep / period);
      const mean = x.data.map((value) => Math.fround(Math.fround(a) * value) + Math.fround(bias));
      const output = withVariance ? concatChannels(x, mean) : { ...x, data: mean };
      outputs.push(output);
      return output;
    },
  });
  let from = 0;
  for await (const { x, denoised } of run) {
    answered.set(from, denoised);
    from = inputs.length;
    states.push(x);
  }
  return [
    ...compare("out.model_input", flat(inputs)),
    ...compare("out.model_output", flat(outputs)),
    ...compareAnswers(c, tensors, answered),
    ...compareStates(c, plan, tensors, inputs, states),
  ];
}

/** The x0 of the first call of every step. */
function compareAnswers(
  c: Case,
  tensors: Tensors,
  answered: ReadonlyMap<number, F32>,
): Comparison[] {
  const expected = tensors["out.pred_original_sample"] as F32 | undefined;
  if (!expected) return [];
  const indices = [...answered.keys()];
  const reference = indices.flatMap((i) => [...row(expected, i).data]);
  const rule = ruleFor("out.pred_original_sample", c.json.tolerance, 0);
  return [
    compareNumbers("out.pred_original_sample", flat([...answered.values()]), reference, rule),
  ];
}

/**
 * `out.trajectory`: the state at every call, scaled back from the network's input, and the last
 * state.
 */
function compareStates(
  c: Case,
  plan: DiffusersPlan,
  tensors: Tensors,
  inputs: readonly F32[],
  states: readonly F32[],
): Comparison[] {
  const expected = tensors["out.trajectory"] as F32;
  const scaled = tensors["out.model_input"] as F32;
  const rule = ruleFor("out.trajectory", c.json.tolerance, 0);
  if (inputs.length + 1 !== expected.shape[0])
    return [
      {
        name: "out.trajectory",
        error: Infinity,
        passed: false,
        message: `${inputs.length} calls, expected ${expected.shape[0] - 1}`,
      },
    ];
  const rows = inputs.map((input, i) => {
    const [state, reference] = [row(expected, i).data, row(scaled, i).data];
    const largest = reference.reduce(
      (at, value, j) => (Math.abs(value) > Math.abs(reference[at]) ? j : at),
      0,
    );
    const factor = plan.space === "ve" ? state[largest] / reference[largest] : 1;
    return input.data.map((value) => value * factor);
  });
  const got = [...rows.flatMap((data) => [...data]), ...states[states.length - 1].data];
  return [compareNumbers("out.trajectory", got, toFloat64(expected), rule)];
}

/** The recorded draws, found by the step they belong to where a step may draw nothing. */
function recordedNoise(
  c: Case,
  tensors: Tensors,
): { noise: NoiseSource; calls: { network: number } } {
  const recorded = tensors["noise"] as F32 | undefined;
  const indices = (c.json["noise_step_index"] ?? []) as number[];
  const calls = { network: 0 };
  const used = new Set<number>();
  const noise: NoiseSource = (shape) => {
    const call = calls.network - 1;
    const index = indices.findIndex((step, i) => step === call && !used.has(i));
    used.add(index);
    return recorded && index >= 0
      ? float32(shape, row(recorded, index).data)
      : float32(shape, new Float32Array(shape.reduce((n, d) => n * d, 1)));
  };
  return { noise, calls };
}

/** Mean and variance channels; the latter are −0.5·x + 0.1. */
function concatChannels({ shape, data }: F32, mean: Float32Array): F32 {
  const size = data.length / shape[0];
  const out = new Float32Array(2 * data.length);
  for (let b = 0; b < shape[0]; b++) {
    out.set(mean.subarray(b * size, (b + 1) * size), 2 * b * size);
    out.set(
      data
        .slice(b * size, (b + 1) * size)
        .map((value) => Math.fround(-0.5 * value) + Math.fround(0.1)),
      (2 * b + 1) * size,
    );
  }
  return float32([shape[0], 2 * shape[1], ...shape.slice(2)], out);
}

function flat(tensors: readonly F32[]): number[] {
  return tensors.flatMap(({ data }) => [...data]);
}
