/**
 * Schedules without a network: tables of betas and noise levels, respacings, spacings, SDEs,
 * log-SNR.
 */
import {
  alphaSigmaOfLogSnr,
  ddimTimesteps,
  diffusionTables,
  exponentialSigmas,
  karrasSigmas,
  logSnrCurve,
  type LogSnrCurveName,
  logSnrPosterior,
  makeBetas,
  type BetaScheduleName,
  type MakeBetasOptions,
  polyexponentialSigmas,
  priorLogDensity,
  respacedBetas,
  respacedTimesteps,
  samplingTimes,
  type Sde,
  subVpSde,
  veSde,
  vpDiscreteBetas,
  vpSde,
  vpSigmas,
  geometricSigmas,
} from "nijimi/diffusion";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareNumbers } from "../compare.ts";
import { configNumber, namedComparer, numbersOf } from "./named-values.ts";

type Run = (c: Case) => Comparison[];

/** What each function's cases hold. */
const RUNS: Readonly<Record<string, Run>> = {
  "k_diffusion.sampling.get_sigmas_*": kDiffusionSigmas,
  "get_sigmas_*": kDiffusionSigmas,
  "DDPM eq. 6-7; the clipped log variance replaces t=0 by t=1's": openAiTables,
  "GaussianDiffusion.__init__": openAiTables,
  "Improved DDPM sec. 4: section of size s with c steps takes start+round(k*(s-1)/(c-1)) (round half to even)":
    respacings,
  "improved_diffusion.respace.space_timesteps": spaceTimesteps,
  "SpacedDiffusion.__init__": spacedDiffusion,
  get_beta_schedule: (c) => betaTables(c, "f64."),
  "runners.diffusion.get_beta_schedule": (c) => betaTables(c, "out."),
  "ldm.modules.diffusionmodules.util": latentDiffusionTables,
  get_named_beta_schedule: namedBetaSchedules,
  "cosine_beta_schedule etc.": dalle2Schedules,
  GaussianDiffusionContinuousTimes: continuousTimes,
  sde_lib: sdeLib,
};

export const suite: Suite = {
  kind: "schedules",
  accepts: ({ json }) => Object.hasOwn(RUNS, json.function ?? ""),
  run: async (c) => RUNS[c.json.function!](c),
};

/** OpenAI's names: "linear" is scaled by 1000/T. */
function openAiBetas(schedule: string, steps: number): Float64Array {
  const names: Record<string, BetaScheduleName> = {
    linear: "linear-per-thousand",
    squaredcos_cap_v2: "cosine",
  };
  return makeBetas({ schedule: names[schedule] ?? (schedule as BetaScheduleName), steps });
}

function kDiffusionSigmas(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const steps = configNumber(c, "n");
  const range = { sigmaMin: configNumber(c, "sigma_min"), sigmaMax: configNumber(c, "sigma_max") };
  return Object.entries(c.tensors()).flatMap(([name, { data }]) => {
    const [, kind, rest] = /^([a-z]+)_?(.*)$/.exec(name)!;
    const rho = /^rho([\d.]+)$/.exec(rest)?.[1];
    const at = (key: string, fallback: number) =>
      rho === undefined ? configNumber(c, key, fallback) : Number(rho);
    switch (kind) {
      case "karras":
        return compare(name, karrasSigmas(steps, { ...range, rho: at("rho_karras", 7) }));
      case "exponential":
        return compare(name, exponentialSigmas(steps, range));
      case "polyexponential":
        return compare(name, polyexponentialSigmas(steps, { ...range, rho: at("rho_poly", 1) }));
      case "vp":
        // The parameters of "vp_custom" are not in the case's config: beta_d 12, beta_min 0.2, eps_s 1e-4.
        return compare(
          name,
          vpSigmas(
            data.length - 1,
            rest === "custom" ? { betaD: 12, betaMin: 0.2, epsilon: 1e-4 } : {},
          ),
        );
      default:
        throw new Error(`unknown sigma schedule ${name}`);
    }
  });
}

function openAiTables(c: Case): Comparison[] {
  const tables = diffusionTables(
    openAiBetas(String(c.json.config!["schedule"]), configNumber(c, "T")),
  );
  const compare = namedComparer(c);
  return [
    ...compare("f64.betas", tables.betas),
    ...compare("f64.alphas_cumprod", tables.alphasCumprod),
    ...compare("f64.posterior_variance", tables.posteriorVariance),
    ...compare("f64.posterior_log_variance_clipped", tables.posteriorLogVarianceClipped),
    ...compare("f64.posterior_mean_coef1", tables.posteriorMeanCoef1),
    ...compare("f64.posterior_mean_coef2", tables.posteriorMeanCoef2),
  ];
}

function respacings(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const cases = c.json.config!["cases"] as readonly {
    T: number;
    sections: number[] | null;
    ddim: number | null;
  }[];
  return cases.flatMap(({ T, sections, ddim }, i) => {
    const kept = respacedTimesteps(T, sections ?? `ddim${ddim}`, { exact: true });
    return [
      ...compare(`out.${i}.timesteps`, kept),
      ...compare(`f64.${i}.betas`, respacedBetas(openAiBetas("linear", T), kept)),
    ];
  });
}

function spaceTimesteps(c: Case): Comparison[] {
  const cases = c.json["cases"] as readonly {
    T: number;
    respacing: string;
    timesteps: number[] | { error: string };
  }[];
  return cases.map(({ T, respacing, timesteps }) => {
    const name = `${respacing} of ${T}`;
    if (Array.isArray(timesteps))
      return compareNumbers(name, respacedTimesteps(T, respacing), timesteps, {});
    try {
      respacedTimesteps(T, respacing);
      return {
        name,
        error: Infinity,
        passed: false,
        message: `should be refused: ${timesteps.error}`,
      };
    } catch {
      return { name, error: 0, passed: true };
    }
  });
}

function spacedDiffusion(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const cases = c.json.config!["cases"] as readonly (readonly [number, string, string])[];
  return cases.flatMap(([steps, respacing, schedule], i) => {
    const kept = respacedTimesteps(steps, respacing);
    const tables = diffusionTables(respacedBetas(openAiBetas(schedule, steps), kept));
    return [
      ...compare(`case${i}.timestep_map`, kept),
      ...compare(`f64.case${i}.betas`, tables.betas),
      ...compare(`f64.case${i}.alphas_cumprod`, tables.alphasCumprod),
      ...compare(`f64.case${i}.posterior_log_variance_clipped`, tables.posteriorLogVarianceClipped),
    ];
  });
}

/** The schedules of DDPM's and ddim's code. */
function betaTables(c: Case, prefix: string): Comparison[] {
  const compare = namedComparer(c);
  const names: Record<string, BetaScheduleName> = {
    quad: "scaled-linear",
    const: "constant",
    warmup10: "warmup-10",
    warmup50: "warmup-50",
  };
  const range: MakeBetasOptions = {
    steps: configNumber(c, "T"),
    betaStart: configNumber(c, "beta_start", 1e-4),
    betaEnd: configNumber(c, "beta_end", 0.02),
  };
  return Object.keys(c.tensors()).flatMap((key) => {
    const name = key.slice(prefix.length);
    return compare(
      key,
      makeBetas({ schedule: names[name] ?? (name as BetaScheduleName), ...range }),
    );
  });
}

function latentDiffusionTables(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const range: MakeBetasOptions = {
    steps: configNumber(c, "T"),
    betaStart: configNumber(c, "linear_start"),
    betaEnd: configNumber(c, "linear_end"),
  };
  const names: Record<string, BetaScheduleName> = {
    linear: "scaled-linear",
    sqrt_linear: "linear",
  };
  return Object.keys(c.tensors()).flatMap((key) => {
    const spaced = /^(uniform|quad)_(\d+)_of_(\d+)$/.exec(key);
    if (spaced)
      return compare(
        key,
        ddimTimesteps(spaced[1] === "quad" ? "quadratic" : "uniform", {
          steps: Number(spaced[2]),
          trainSteps: Number(spaced[3]),
          offset: 1,
        }),
      );
    const name = key.replace("f64.betas.", "");
    return compare(
      key,
      makeBetas({ schedule: names[name] ?? (name as BetaScheduleName), ...range }),
    );
  });
}

function namedBetaSchedules(c: Case): Comparison[] {
  const compare = namedComparer(c);
  return Object.keys(c.tensors()).flatMap((key) => {
    const named = /^f64\.(.*)_(\d+)$/.exec(key);
    if (named) return compare(key, openAiBetas(named[1], Number(named[2])));
    const respacing = key.replace(/_map$/, "");
    return compare(key, respacedTimesteps(configNumber(c, "T", 1000), respacing));
  });
}

function dalle2Schedules(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const steps = configNumber(c, "timesteps");
  const scaled = { betaStart: 0.1 / steps, betaEnd: 20 / steps };
  const schedules: Record<string, MakeBetasOptions> = {
    cosine: { schedule: "cosine" },
    linear: { schedule: "linear-per-thousand" },
    quadratic: { schedule: "quadratic-per-thousand" },
    sigmoid: { schedule: "sigmoid", ...scaled },
  };
  return Object.keys(c.tensors()).flatMap((key) =>
    compare(key, makeBetas({ steps, ...schedules[key.replace("f64.", "")] })),
  );
}

function continuousTimes(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const t = numbersOf(c, "in.t");
  const [now, next] = [numbersOf(c, "in.tt"), numbersOf(c, "in.tn")];
  return (["linear", "cosine"] as const satisfies readonly LogSnrCurveName[]).flatMap((name) => {
    const logSnr = logSnrCurve(name);
    const key = (suffix: string) => `out.${name}.${suffix}`;
    const mixtures = t.map(logSnr);
    const x0 = numbersOf(c, `in.${name}.x0`);
    const xt = numbersOf(c, `in.${name}.xt`);
    const size = x0.length / now.length;
    const at = Array.from(now, (time) => alphaSigmaOfLogSnr(logSnr(time)));
    const posteriors = Array.from(now, (time, b) => logSnrPosterior(logSnr(time), logSnr(next[b])));
    const perElement = (value: (b: number, i: number) => number) =>
      x0.map((_, i) => value(Math.floor(i / size), i));
    return [
      ...compare(key("log_snr"), mixtures),
      ...compare(
        key("alpha"),
        mixtures.map((value) => alphaSigmaOfLogSnr(value).alpha),
      ),
      ...compare(
        key("sigma"),
        mixtures.map((value) => alphaSigmaOfLogSnr(value).sigma),
      ),
      ...compare(
        key("posterior_mean"),
        perElement((b, i) => posteriors[b].coefXt * xt[i] + posteriors[b].coefX0 * x0[i]),
      ),
      ...compare(
        key("posterior_var"),
        posteriors.map(({ variance }) => variance),
      ),
      ...compare(
        key("posterior_logvar"),
        posteriors.map(({ logVariance }) => logVariance),
      ),
      // The second tensor of the case stands for the noise, the network's ε and its v in turn.
      ...compare(
        key("q_sample"),
        perElement((b, i) => at[b].alpha * x0[i] + at[b].sigma * xt[i]),
      ),
      ...compare(
        key("x0_from_noise"),
        perElement((b, i) => (xt[i] - at[b].sigma * x0[i]) / at[b].alpha),
      ),
      ...compare(
        key("x0_from_v"),
        perElement((b, i) => at[b].alpha * xt[i] - at[b].sigma * x0[i]),
      ),
      ...compare(key("sampling_times"), samplingTimes(configNumber(c, "timesteps")).flat()),
    ];
  });
}

function sdeLib(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const [betaMin, betaMax] = c.json.config!["beta"] as [number, number];
  const [sigmaMin, sigmaMax] = c.json.config!["sigma"] as [number, number];
  const steps = configNumber(c, "N");
  const sdes: Sde[] = [
    vpSde({ betaMin, betaMax, steps }),
    subVpSde({ betaMin, betaMax, steps }),
    veSde({ sigmaMin, sigmaMax, steps }),
  ];
  const t = numbersOf(c, "in.t");
  const x = numbersOf(c, "in.x");
  const size = x.length / t.length;
  const timeOf = (i: number) => t[Math.floor(i / size)];
  return [
    ...sdes.flatMap((sde) => {
      const key = (suffix: string) => `out.${sde.kind}.${suffix}`;
      return [
        ...compare(
          key("drift"),
          x.map((value, i) => sde.at(timeOf(i)).drift * value),
        ),
        ...compare(
          key("diffusion"),
          t.map((time) => sde.at(time).diffusion),
        ),
        ...compare(
          key("mean"),
          x.map((value, i) => sde.marginal(timeOf(i)).alpha * value),
        ),
        ...compare(
          key("std"),
          t.map((time) => sde.marginal(time).sigma),
        ),
        ...compare(
          key("discrete_f"),
          x.map((value, i) => sde.discretise(timeOf(i)).drift * value),
        ),
        ...compare(
          key("discrete_G"),
          t.map((time) => sde.discretise(time).diffusion),
        ),
        ...compare(
          key("prior_logp"),
          t.map((_, b) => priorLogDensity(sde, x.subarray(b * size, (b + 1) * size))),
        ),
      ];
    }),
    ...compare("out.vp.discrete_betas", vpDiscreteBetas({ betaMin, betaMax, steps })),
    ...compare("out.ve.discrete_sigmas", geometricSigmas(steps, { sigmaMin, sigmaMax }).reverse()),
  ];
}
