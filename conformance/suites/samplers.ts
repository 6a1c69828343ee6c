/**
 * Samplers with interfaces of their own: RePaint, predictor–corrector, annealed Langevin dynamics,
 * discrete diffusion.
 */
import {
  annealedLangevin,
  fromDiffusersConfig,
  geometricSigmas,
  type NoiseSource,
  predictorCorrector,
  repaint,
  type SamplerRun,
  type Score,
  type Sde,
  veSde,
  vpSde,
  vqDiffusionSchedule,
  vqDiffusionStep,
  vqPosterior,
} from "nijimi/diffusion";
import { float32, type Tensor, tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareNumbers, compareTensors } from "../compare.ts";
import { ruleFor } from "../tolerance.ts";

type F32 = Tensor<"float32">;

const RUNNERS: Readonly<Record<string, (c: Case) => Promise<Comparison[]>>> = {
  "diffusers.RePaintScheduler.step/undo_step": compareRepaint,
  "diffusers.ScoreSdeVeScheduler.step_correct/step_pred": compareScoreSde,
  "diffusers ScoreSdeVpScheduler.step_pred": compareScoreSde,
  "diffusers.VQDiffusionScheduler.step/q_posterior": compareVqDiffusion,
  "Song & Ermon 2019": compareLangevin,
};

export const suite: Suite = {
  kind: "samplers",
  accepts: ({ json, id }) =>
    (json.function ?? "") in RUNNERS &&
    (json.function !== "Song & Ermon 2019" ||
      id.includes("langevin") ||
      json.config?.["K"] !== undefined),
  run: (c) => RUNNERS[c.json.function!](c),
};

/** The closed-form network of the cases: a·x + b·sin(t/c). */
function closedForm(c: Case): (x: F32, t: number) => F32 {
  const {
    a = 0.3,
    b = 0.1,
    c: period = 100,
  } = (c.json["model_coefficients"] ?? {}) as { a?: number; b?: number; c?: number };
  return (x, t) => ({
    ...x,
    data: x.data.map(
      (value) => Math.fround(Math.fround(a) * value) + Math.fround(b * Math.sin(t / period)),
    ),
  });
}

/** Recorded draws in order of use. */
function sequence(recorded: Tensor): NoiseSource {
  let next = 0;
  return (shape) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return float32(shape, (recorded.data as Float32Array).slice(next++ * size, next * size));
  };
}

async function statesOf(run: SamplerRun): Promise<F32[]> {
  const states: F32[] = [];
  for await (const { x } of run) states.push(x);
  return states;
}

function stack(states: readonly F32[]): F32 {
  return float32(
    [states.length, ...states[0].shape],
    states.flatMap(({ data }) => [...data]),
  );
}

function rowsOf({ shape, data }: F32, indices: readonly number[]): F32 {
  const size = data.length / shape[0];
  return float32(
    [indices.length, ...shape.slice(1)],
    indices.flatMap((i) => Array.from(data.subarray(i * size, (i + 1) * size))),
  );
}

/** The states after steps down; those between jumps back are not events. */
async function compareRepaint(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const {
    eta = 0,
    clip_sample: clip = true,
    ...config
  } = c.json.config as { eta?: number; clip_sample?: boolean };
  const {
    num_inference_steps: steps,
    jump_length: jumpLength,
    jump_n_sample: jumpSamples,
  } = c.json["set_timesteps_arguments"] as Record<string, number>;
  const { alphasCumprod, betas } = fromDiffusersConfig(config, "DDIMScheduler");
  const stride = Math.floor(betas!.length / steps);
  const timesteps = Array.from({ length: steps }, (_, i) => (steps - 1 - i) * stride);
  const model = closedForm(c);
  const run = repaint({
    x: tensors["in.sample"] as F32,
    known: tensors["in.original_image"] as F32,
    mask: tensors["in.mask"] as F32,
    sigmas: [...timesteps.map((t) => Math.sqrt((1 - alphasCumprod![t]) / alphasCumprod![t])), 0],
    space: "vp",
    noise: sequence(tensors["noise"]),
    jumpLength,
    jumpSamples,
    eta,
    // undone from the timestep below on, by its own betas
    undoBetas: (step) => betas!.subarray(timesteps[step], timesteps[step] + stride),
    denoise(x, _, { step }) {
      const t = timesteps[step];
      const eps = model(x, t);
      const [alpha, std] = [Math.sqrt(alphasCumprod![t]), Math.sqrt(1 - alphasCumprod![t])];
      const clipped = (value: number) => (clip ? Math.min(Math.max(value, -1), 1) : value);
      return {
        eps,
        denoised: {
          ...x,
          data: x.data.map((value, i) => clipped((value - std * eps.data[i]) / alpha)),
        },
      };
    },
  });
  const states = await statesOf(run);
  const kinds = c.json["kinds"] as string[];
  const expected = tensors["out.trajectory"] as F32;
  const indices = kinds.flatMap((kind, i) => (kind === "step" ? [i + 1] : []));
  return [
    compareNumbers(
      "timesteps of steps",
      kinds.flatMap((kind, i) => (kind === "step" ? [Number(tensors["timesteps"].data[i])] : [])),
      visited(timesteps, kinds),
      {},
    ),
    compareTensors("out.trajectory", stack(states), rowsOf(expected, indices), c.json.tolerance),
  ];
}

/** Timesteps of the steps when "undo" goes one back. */
function visited(timesteps: readonly number[], kinds: readonly string[]): number[] {
  let at = 0;
  return kinds.flatMap((kind) => (kind === "step" ? [timesteps[at++]] : (at--, [])));
}

async function compareScoreSde(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const config = c.json.config as Record<string, number>;
  const steps = Number(c.json["num_inference_steps"]);
  const ve = c.json.function!.includes("Ve");
  const model = closedForm(c);
  const sde: Sde = ve
    ? veSde({ sigmaMin: config["sigma_min"], sigmaMax: config["sigma_max"], steps })
    : vpSde({ betaMin: config["beta_min"], betaMax: config["beta_max"], steps });
  const times = [...toFloat64(tensors["timesteps"])];
  const sigmas = tensors["sigmas"] ? [...toFloat64(tensors["sigmas"])] : [];
  const score: Score = (x, t, { step }) => {
    const output = model(x, times[step]);
    const scale = ve ? -1 / (1 + sigmas[step] ** 2) : -1 / float32Std(sde, t);
    return { ...output, data: output.data.map((value) => value * scale) };
  };
  const { correct_steps: correctorSteps = 1, snr, sampling_eps: epsilon } = config;
  const common = {
    score,
    sde,
    x: tensors["in.sample"] as F32,
    noise: sequence(tensors["noise"]),
    epsilon,
    snr,
    correctorSteps,
    denoiseFinal: false,
  };
  const run = predictorCorrector(
    ve ? common : { ...common, predictor: "euler-maruyama", corrector: "none" },
  );
  const means: F32[] = [];
  const states: F32[] = [];
  for await (const { x, denoised } of run) {
    states.push(x);
    means.push(denoised);
  }
  const updates = ve ? correctorSteps + 1 : 1; // entries of the trajectory per step
  const indices = states.map((_, i) => (i + 1) * updates);
  return [
    compareTensors(
      "out.trajectory",
      stack(states),
      rowsOf(tensors["out.trajectory"] as F32, indices),
      c.json.tolerance,
    ),
    compareTensors(
      "out.prev_sample_mean",
      stack(means),
      tensors["out.prev_sample_mean"],
      c.json.tolerance,
    ),
  ];
}

/** σ(t) of the VP equation as float32 has it, which near t = 0 loses digits in 1 − α². */
function float32Std(sde: Sde, t: number): number {
  const { fround } = Math;
  return fround(Math.sqrt(fround(1 - fround(sde.marginal(t).alpha ** 2))));
}

async function compareVqDiffusion(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const config = c.json.config as Record<string, number>;
  const schedule = vqDiffusionSchedule({
    classes: config["num_vec_classes"],
    steps: config["num_train_timesteps"],
    alpha: [config["alpha_cum_start"], config["alpha_cum_end"]],
    gamma: [config["gamma_cum_start"], config["gamma_cum_end"]],
  });
  const timesteps = [...toFloat64(tensors["timesteps"])];
  const expected = tensors["out.trajectory"] as Tensor<"int64">;
  const [batch, length] = expected.shape.slice(1);
  const stateOf = (i: number) =>
    tensor(
      "int64",
      [batch, length],
      expected.data.slice(i * batch * length, (i + 1) * batch * length),
    );
  let codes = stateOf(0);
  const comparisons: Comparison[] = [];
  const posteriors: number[] = [];
  timesteps.forEach((t, i) => {
    const outputs = rowsOf(tensors["in.model_output"] as F32, [i]);
    const logX0 = float32(outputs.shape.slice(1), outputs.data);
    if (t > 0)
      posteriors.push(
        ...vqPosterior(schedule, logX0, codes, t).data.map((value) => Math.max(value, -70)),
      );
    codes = vqDiffusionStep(schedule, logX0, codes, t, () => tensors[`noise.uniform.${i}`] as F32);
    comparisons.push(compareTensors(`out.trajectory ${i + 1}`, codes, stateOf(i + 1), {}));
  });
  const reference = toFloat64(tensors["out.log_posterior"]);
  return [
    ...comparisons,
    compareNumbers(
      "out.log_posterior",
      posteriors,
      reference,
      ruleFor("out.log_posterior", c.json.tolerance, 0),
    ),
  ];
}

/** NCSN's algorithm with the score (mu − x)/(σ² + v) of a Gaussian. */
async function compareLangevin(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const { L, K, eps, score } = c.json.config as {
    L: number;
    K: number;
    eps: number;
    score: string;
  };
  const variance = Number(/sigma\^2\s*\+\s*([\d.]+)/.exec(score)?.[1]);
  const sigmas = toFloat64(tensors["f64.sigmas"]);
  const mu = tensors["in.mu"] as F32;
  const start = tensors["in.x"] as F32;
  const states = await statesOf(
    annealedLangevin({
      x: start,
      sigmas,
      stepSize: eps,
      stepsPerLevel: K,
      denoiseFinal: true,
      noise: sequence(tensors["noise"]),
      denoise: (x, sigma) => ({
        denoised: {
          ...x,
          data: x.data.map(
            (value, i) => value + (sigma ** 2 * (mu.data[i] - value)) / (sigma ** 2 + variance),
          ),
        },
      }),
    }),
  );
  const geometric = geometricSigmas(L, { sigmaMin: sigmas[L - 1], sigmaMax: sigmas[0] });
  return [
    compareNumbers("f64.sigmas", geometric, sigmas, { atol: 1e-12, rtol: 1e-12 }),
    compareTensors(
      "out.trajectory",
      stack([start, ...states.slice(0, -1)]),
      tensors["out.trajectory"],
      c.json.tolerance,
    ),
    compareTensors(
      "out.denoised",
      states[states.length - 1],
      tensors["out.denoised"],
      c.json.tolerance,
    ),
  ];
}
