/**
 * k-diffusion's samplers with the closed-form denoisers and recorded draws of the cases, its
 * ancestral step and its Brownian noise. Which sampler and which options is read from the case's
 * `function` and `config`.
 */
import {
  ancestralStep,
  brownianNoise,
  type Denoiser,
  dpm2,
  dpm2Ancestral,
  dpmAdaptive,
  dpmFast,
  dpmpp2m,
  dpmpp2mSde,
  dpmpp2sAncestral,
  dpmpp3mSde,
  dpmppSde,
  euler,
  eulerAncestral,
  heun,
  levelOf,
  lms,
  type NoiseSource,
  type SamplerInput,
  type SamplerRun,
} from "nijimi/diffusion";
import { float32, type Tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";

type F32 = Tensor<"float32">;
type Config = Readonly<Record<string, unknown>>;

const SAMPLERS: Readonly<Record<string, (input: SamplerInput & Config) => SamplerRun>> = {
  sample_euler: euler,
  sample_euler_ancestral: eulerAncestral,
  sample_heun: heun,
  sample_dpm_2: dpm2,
  sample_dpm_2_ancestral: dpm2Ancestral,
  sample_lms: lms,
  sample_dpm_fast: dpmFast,
  sample_dpm_adaptive: dpmAdaptive,
  sample_dpmpp_2s_ancestral: dpmpp2sAncestral,
  sample_dpmpp_sde: dpmppSde,
  sample_dpmpp_2m: dpmpp2m,
  sample_dpmpp_2m_sde: dpmpp2mSde,
  sample_dpmpp_3m_sde: dpmpp3mSde,
};

const samplerOf = (c: Case) =>
  /^k_diffusion\.sampling\.(sample_\w+)$/.exec(c.json.function ?? "")?.[1] ?? "";

export const suite: Suite = {
  kind: "kdiffusion",
  accepts: (c) =>
    samplerOf(c) in SAMPLERS ||
    ["get_ancestral_step", "BrownianTreeNoiseSampler"].includes(c.json.function ?? ""),
  async run(c) {
    if (c.json.function === "get_ancestral_step") return compareAncestralSteps(c);
    if (c.json.function === "BrownianTreeNoiseSampler") return compareBrownian(c);
    return compareSampler(c);
  },
};

async function compareSampler(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const config = c.json.config ?? {};
  const start = (tensors["in.sample"] ?? tensors["in.x"]) as F32;
  const range =
    config["sigma_max"] === undefined
      ? undefined
      : [Number(config["sigma_max"]), Number(config["sigma_min"])];
  const sigmas = range ?? [...toFloat64(tensors["sigmas"] ?? tensors["in.sigmas"])];
  const states: F32[] = [start];
  const run = SAMPLERS[samplerOf(c)]({
    ...options(config),
    denoise: denoiserOf(String(c.json["model"] ?? config["denoiser"])),
    x: start,
    sigmas,
    noise: recordedNoise(c, sigmas),
  });
  for await (const { x } of run) states.push(x);
  const comparisons: Comparison[] = [];
  const compare = (name: string, got: F32) => {
    if (tensors[name]) comparisons.push(compareTensors(name, got, tensors[name], c.json.tolerance));
  };
  const last = states[states.length - 1];
  compare("out.sample", last);
  compare("out", last);
  const shown = tensors["traj_callback_x"];
  if (shown) {
    const before = [start, ...states].slice(0, shown.shape[0]); // the start, then the states before each step
    compare(
      "traj_callback_x",
      float32(
        [before.length, ...start.shape],
        before.flatMap(({ data }) => [...data]),
      ),
    );
  }
  return comparisons;
}

/** Python's keyword arguments as ours. */
function options({
  eta,
  s_churn,
  s_tmin,
  s_tmax,
  s_noise,
  order,
  r,
  solver_type,
  rtol,
  atol,
  h_init,
  accept_safety,
  n,
  pcoeff,
  icoeff,
  dcoeff,
}: Config): Config {
  const pid = [pcoeff ?? 0, icoeff ?? 1, dcoeff ?? 0];
  const all = {
    eta,
    sChurn: s_churn,
    sTmin: s_tmin,
    sTmax: s_tmax,
    sNoise: s_noise,
    order,
    r,
    solverType: solver_type,
    rtol,
    atol,
    hInit: h_init,
    acceptSafety: accept_safety,
    evaluations: n,
    pid,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** The denoiser that a case writes as a formula; its numbers may be others. */
function denoiserOf(formula: string): Denoiser {
  const number = String.raw`([\d.]+)`;
  const match = (pattern: string) =>
    new RegExp(pattern.replaceAll("#", number).replaceAll(" ", "\\s*"))
      .exec(formula)
      ?.slice(1)
      .map(Number);
  const linear = match(String.raw`x \* # / \(sigma\^2 \+ #\) \+ # \* sin\(sigma\)`);
  if (linear) {
    const [a, b, c] = linear;
    return (x, sigma) => ({
      denoised: map(x, (value) => (value * a) / (sigma ** 2 + b) + c * Math.sin(sigma)),
    });
  }
  const wavy = match(String.raw`x \* #\^2 / \(s\^2 \+ #\^2\) \+ # \* sin\(x\) \* s / \(1 \+ s\)`);
  if (!wavy) throw new Error(`denoiser ${JSON.stringify(formula)} is not understood`);
  const [a, b, c] = wavy;
  return (x, s) => ({
    denoised: map(
      x,
      (value) => (value * a ** 2) / (s ** 2 + b ** 2) + (c * Math.sin(value) * s) / (1 + s),
    ),
  });
}

function map(x: F32, fn: (value: number) => number): F32 {
  return { ...x, data: x.data.map(fn) };
}

/**
 * Draws by their recorded intervals, or, where the sampler drew without a noise sampler, by step.
 */
function recordedNoise(c: Case, sigmas: readonly number[]): NoiseSource {
  const tensors = c.tensors();
  const recorded = tensors["noise"];
  const intervals =
    (tensors["noise_intervals"] && rows(tensors["noise_intervals"])) ??
    (c.json["noise_sampler_args"] as number[][] | undefined) ??
    [];
  let draws = 0;
  return (shape, { sigma }) => {
    const byStep = intervals[0]?.[0] < 0;
    const nearest = sigmas.reduce(
      (best, other, i) => (Math.abs(other - sigma) < Math.abs(sigmas[best] - sigma) ? i : best),
      0,
    );
    const index = byStep ? nearest : draws++;
    const size = recorded.data.length / recorded.shape[0];
    return float32(shape, (recorded as F32).data.slice(index * size, (index + 1) * size));
  };
}

function rows(tensor: Tensor): number[][] {
  const values = [...toFloat64(tensor)];
  const width = tensor.shape[1];
  return Array.from({ length: tensor.shape[0] }, (_, i) =>
    values.slice(i * width, (i + 1) * width),
  );
}

/** Tensors `ancestral_<from>_<to>_eta<eta>`: σ_down and σ_up. */
function compareAncestralSteps(c: Case): Comparison[] {
  return Object.entries(c.tensors()).map(([name, expected]) => {
    const [from, to, eta] = /^ancestral_([\d.]+)_([\d.]+)_eta([\d.]+)$/
      .exec(name)!
      .slice(1)
      .map(Number);
    const { down, up } = ancestralStep("ve", levelOf("ve", from), levelOf("ve", to), eta);
    return compareTensors(name, float32([2], [down.sigma, up]), expected, c.json.tolerance);
  });
}

/** Tensors `out.seed<seed>`: one row per interval of `in.intervals`. */
function compareBrownian(c: Case): Comparison[] {
  const {
    sigma_min: sigmaMin,
    sigma_max: sigmaMax,
    shape,
  } = c.json.config as { sigma_min: number; sigma_max: number; shape: number[] };
  const tensors = c.tensors();
  const intervals = rows(tensors["in.intervals"]);
  return Object.entries(tensors)
    .filter(([name]) => name.startsWith("out.seed"))
    .map(([name, expected]) => {
      const noise = brownianNoise({
        shape,
        sigmaMin,
        sigmaMax,
        seed: BigInt(name.slice("out.seed".length)),
      });
      const got = intervals.flatMap(([sigma, sigmaNext]) => [
        ...noise(shape, { sigma, sigmaNext }).data,
      ]);
      return compareTensors(
        name,
        float32([intervals.length, ...shape], got),
        expected,
        c.json.tolerance,
      );
    });
}
