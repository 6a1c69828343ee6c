/**
 * Closed forms around the variational bound and guidance: likelihood terms, bits per dimension,
 * importance sampling of timesteps, score matching, guidance, thresholding.
 */
import {
  alphasCumprodOf,
  annealedScoreLoss,
  ddim,
  denoiserOf,
  diffusionTables,
  discretePreconditioning,
  discreteSigmasOf,
  discretisedLogLikelihood,
  dynamicThreshold,
  dynamicThresholds,
  clipX0,
  hybridLoss,
  type LossHistory,
  lossHistory,
  makeBetas,
  normalKl,
  recordLosses,
  secondMomentProbabilities,
  secondMomentWeights,
  tanhNormalCdf,
  variationalBound,
} from "nijimi/diffusion";
import {
  add,
  constant,
  div,
  gather,
  mul,
  reshape,
  spec,
  square,
  sub,
  type Sym,
} from "nijimi/graph";
import { classifierFree, rescaleGuided, shiftEps, shiftMean } from "nijimi/guidance";
import { tensorToImages } from "nijimi/images";
import { compile } from "nijimi/runtime";
import { float32, int64, type Tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";
import { configNumber, float32Of, namedComparer, numbersOf } from "./named-values.ts";

type Run = (c: Case) => Comparison[] | Promise<Comparison[]>;

const RUNS: Readonly<Record<string, Run>> = {
  "closed form": normalKls,
  "P = CDF(x+1/255)-CDF(x-1/255); edge bins open (x<-0.999, x>0.999); log floored at 1e-12":
    decoder,
  "improved_diffusion.losses": openAiLosses,
  "Improved DDPM sec. 2.2, 3.1": bitsPerDim,
  "Improved DDPM sec. 3.3": secondMoment,
  "improved_diffusion.resample.LossSecondMomentResampler": resampler,
  "u + w(c-u)": classifierFreeGuidance,
  "mu + s*Sigma*grad; eps - sqrt(1-abar)*s*grad": classifierGuidance,
  "image post-processing": toBytes,
  "clip(x,-s,s)/s": (c) => thresholding(c, "in.x0", "percentile"),
  "Imagen.p_mean_variance": (c) => thresholding(c, "in.x", "q"),
  "Song & Ermon 2019 eq. 5-6": annealedLoss,
};

export const suite: Suite = {
  kind: "vlb",
  accepts: ({ json }) => Object.hasOwn(RUNS, json.function ?? ""),
  run: async (c) => RUNS[c.json.function!](c),
};

function normalKls(c: Case): Comparison[] {
  const [mean1, logvar1, mean2, logvar2] = ["mean1", "logvar1", "mean2", "logvar2"].map((name) =>
    numbersOf(c, `in.${name}`),
  );
  return namedComparer(c)(
    "out",
    mean1.map((_, i) => normalKl(mean1[i], logvar1[i], mean2[i], logvar2[i])),
  );
}

function decoder(c: Case): Comparison[] {
  const [x, mean, logScale] = ["x", "mean", "log_scale"].map((name) => numbersOf(c, `in.${name}`));
  return (["erf", "tanh"] as const).flatMap((cdf) =>
    namedComparer(c)(
      `out.${cdf}`,
      x.map((_, i) => discretisedLogLikelihood(x[i], mean[i], logScale[i], { cdf })),
    ),
  );
}

/** In the tails the expected values are those of float32. */
function openAiLosses(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const names = ["x", "mean", "log_scale", "mean2", "logvar2"] as const;
  const [x, mean, logScale, mean2, logvar2] = names.map((name) => numbersOf(c, `in.${name}`));
  return [
    ...compare(
      "out.discretized_ll",
      x.map((_, i) =>
        discretisedLogLikelihood(x[i], mean[i], logScale[i], { precision: "float32" }),
      ),
    ),
    ...compare(
      "out.normal_kl",
      x.map((_, i) => normalKl(mean[i], logScale[i], mean2[i], logvar2[i])),
    ),
    ...compare(
      "out.approx_standard_normal_cdf",
      x.map((value) => tanhNormalCdf(value)),
    ),
  ];
}

/** The betas of the case's `schedule` and `T`; "linear" is scaled by 1000/T. */
function betasOf(c: Case): Float64Array {
  const schedule = String(c.json.config!["schedule"]);
  return makeBetas({
    schedule: schedule === "cosine" ? "cosine" : "linear-per-thousand",
    steps: configNumber(c, "T"),
  });
}

/** The numbers of a formula written in the case's configuration. */
function numbersIn(c: Case, key: string): number[] {
  return (
    String(c.json.config![key]).match(/(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w])/g) ?? []
  ).map(Number);
}

/** The bound on the host, L_simple as a trace. */
async function bitsPerDim(c: Case): Promise<Comparison[]> {
  const compare = namedComparer(c);
  const betas = betasOf(c);
  // eps = a·x·√(1−ᾱ) + b·sin(t/p), v = k·tanh(x)
  const [a, , b, period] = numbersIn(c, "eps_model");
  const [k] = numbersIn(c, "v_model");
  const scales = alphasCumprodOf(betas).map((alphaBar) => a * Math.sqrt(1 - alphaBar));
  const shifts = betas.map((_, t) => b * Math.sin(t / period));
  const x0 = float32Of(c, "in.x0");
  const draws = float32Of(c, "in.noise");
  const size = x0.data.length;
  const noise = (_: readonly number[], t: number) =>
    float32(x0.shape, draws.data.slice(t * size, (t + 1) * size));
  const sampleSize = size / x0.shape[0];
  const network = (x: Tensor<"float32">, t: number): Tensor<"float32"> => {
    const data = new Float32Array(2 * size);
    x.data.forEach((value, i) => {
      const at = i + Math.floor(i / sampleSize) * sampleSize;
      data[at] = scales[t] * value + shifts[t];
      data[at + sampleSize] = k * Math.tanh(value);
    });
    return float32([x.shape[0], 2 * x.shape[1], ...x.shape.slice(2)], data);
  };
  const transform = c.json.config!["clip_denoised"] === true ? clipX0() : undefined;
  const bound = await variationalBound({
    x0,
    betas,
    network,
    noise,
    variance: "learned-range",
    transform,
  });
  const simple = await simpleLosses(betas, x0, noise, scales, shifts);
  const rows = bound.terms.toReversed();
  const weight = (numbersIn(c, "l_hybrid")[0] ?? 0.001) * betas.length;
  const flat = (values: (row: (typeof rows)[number]) => ArrayLike<number>) =>
    rows.flatMap((row) => Array.from(values(row)));
  return [
    ...compare(
      "out.vb_terms_bpd",
      flat(({ bits }) => bits),
    ),
    ...compare(
      "out.kl_bpd",
      flat(({ kl }) => kl),
    ),
    ...compare(
      "out.decoder_nll_bpd",
      flat((row) => row.decoder),
    ),
    ...compare(
      "out.x0_mse",
      flat(({ x0Mse }) => x0Mse),
    ),
    ...compare("out.prior_bpd", bound.prior),
    ...compare("out.total_bpd", bound.total),
    ...compare("out.l_simple", simple.flat()),
    ...compare(
      "out.l_hybrid",
      flat(({ t, bits }) => bits.map((value, i) => simple[t][i] + weight * value)),
    ),
  ];
}

/** L_simple of ε = scale_t·x + shift_t for every timestep, by the traced loss. */
async function simpleLosses(
  betas: Float64Array,
  x0: Tensor<"float32">,
  noise: (shape: readonly number[], t: number) => Tensor<"float32">,
  scales: Float64Array,
  shifts: Float64Array,
): Promise<number[][]> {
  const column = (values: Float64Array) =>
    constant(float32([values.length, ...x0.shape.slice(1).map(() => 1)], values));
  const shape = spec("float32", x0.shape);
  const tables = diffusionTables(betas);
  const network = (x: Sym, t: Sym) =>
    add(mul(gather(column(scales), t), x), gather(column(shifts), t));
  const compiled = await compile(
    (inputs) => hybridLoss({ ...inputs, network, tables, variance: "fixed-small" }).mse,
    { x0: shape, noise: shape, t: spec("int64", [x0.shape[0]]) },
  );
  const losses: number[][] = [];
  for (let t = 0; t < betas.length; t++) {
    const inputs = {
      x0,
      noise: noise(x0.shape, t),
      t: int64([x0.shape[0]], new Array(x0.shape[0]).fill(t)),
    };
    losses.push([...toFloat64(await compiled(inputs))]);
  }
  await compiled.dispose();
  return losses;
}

function secondMoment(c: Case): Comparison[] {
  const { shape } = c.tensors()["in.history"];
  const history: LossHistory = {
    steps: shape[0],
    historyPerTimestep: shape[1],
    losses: numbersOf(c, "in.history"),
    counts: new Int32Array(shape[0]).fill(shape[1]),
  };
  const uniformProbability = configNumber(c, "uniform_prob", 0.001);
  const probabilities = secondMomentProbabilities(history, { uniformProbability });
  return [
    ...namedComparer(c)("out.probabilities", probabilities),
    ...namedComparer(c)(
      "out.importance_weights",
      probabilities.map((p) => 1 / (shape[0] * p)),
    ),
  ];
}

function resampler(c: Case): Comparison[] {
  const steps = configNumber(c, "T");
  const batch = configNumber(c, "batch");
  const history = lossHistory(steps, configNumber(c, "history_per_term", 10));
  const uniformProbability = configNumber(c, "uniform_prob", 0.001);
  const [t, losses] = [numbersOf(c, "in.t"), numbersOf(c, "f64.in.loss")];
  const weights: number[] = [];
  for (let from = 0; from < t.length; from += batch) {
    recordLosses(history, t.subarray(from, from + batch), losses.subarray(from, from + batch));
    weights.push(...secondMomentWeights(history, { uniformProbability }));
  }
  const p = secondMomentProbabilities(history, { uniformProbability });
  const compare = namedComparer(c);
  return [
    ...compare("f64.out.weights_after_each_batch", weights),
    ...compare("f64.out.p", p),
    ...compare(
      "f64.out.importance_weight_per_t",
      p.map((value) => 1 / (steps * value)),
    ),
  ];
}

function classifierFreeGuidance(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const [cond, uncond, negative] = ["cond", "uncond", "negative"].map((name) =>
    float32Of(c, `in.${name}`),
  );
  const guidance = classifierFree({ guidanceScale: configNumber(c, "w") });
  const at = { sigma: 1, step: 0 };
  const guided = guidance.combine({ cond, uncond }, at) as Tensor<"float32">;
  const withNegative = guidance.combine({ cond, uncond: negative }, at) as Tensor<"float32">;
  return [
    ...compare("out.guided", guided.data),
    ...compare("out.guided_with_negative", withNegative.data),
    ...compare("out.rescaled", rescaleGuided(guided, cond, configNumber(c, "phi")).data),
  ];
}

/** ADM's two algorithms; the second as one step of the DDIM sampler to the previous timestep. */
async function classifierGuidance(c: Case): Promise<Comparison[]> {
  const compare = namedComparer(c);
  const [mean, logVariance, gradient, eps, x] = [
    "mean",
    "log_variance",
    "grad_log_p",
    "eps",
    "xt",
  ].map((name) => float32Of(c, `in.${name}`));
  const scale = configNumber(c, "scale");
  const alphasCumprod = alphasCumprodOf(betasOf(c));
  const table = discreteSigmasOf(alphasCumprod);
  const t = configNumber(c, "t");
  const guided = shiftEps(eps, Math.sqrt(1 - alphasCumprod[t]), gradient, scale);
  const denoise = denoiserOf(() => guided, discretePreconditioning(table, { space: "vp" }), {
    ...(c.json.config!["clip"] === true && { transform: clipX0() }),
  });
  const sigmas = [table.sigmas[t], t === 0 ? 0 : table.sigmas[t - 1]];
  const { value } = await ddim({
    denoise,
    x,
    sigmas,
    space: "vp",
    eta: configNumber(c, "eta", 0),
  }).next();
  return [
    ...compare("out.guided_mean", shiftMean(mean, logVariance, gradient, scale).data),
    ...compare("out.guided_eps", guided.data),
    ...compare("out.ddim_prev", value ? value.x.data : []),
  ];
}

function thresholding(c: Case, input: string, quantile: string): Comparison[] {
  const x0 = float32Of(c, input);
  const options = { percentile: configNumber(c, quantile) };
  return [
    ...namedComparer(c)("out.s", dynamicThresholds(x0, options)),
    ...namedComparer(c)("out", dynamicThreshold(options)(x0).data),
  ];
}

/** score = (mu − x)/(σ² + v), v being the last number of the formula. */
async function annealedLoss(c: Case): Promise<Comparison[]> {
  const x0 = float32Of(c, "in.x");
  const noise = float32Of(c, "in.z");
  const mu = float32Of(c, "in.mu");
  const sigmas = numbersOf(c, "f64.sigmas");
  const sigma = float32(
    [x0.shape[0]],
    numbersOf(c, "in.sigma_index").map((i) => sigmas[i]),
  );
  const variance = numbersIn(c, "score").at(-1)!;
  const shape = spec("float32", x0.shape);
  const network = (x: Sym, s: Sym) => {
    const total = add(square(s), variance);
    return div(
      sub(constant(mu), x),
      reshape(total, [x0.shape[0], ...x0.shape.slice(1).map(() => 1)]),
    );
  };
  const compiled = await compile(
    ({ data, z, level }) =>
      annealedScoreLoss({ network, x0: data, noise: z, sigma: level, condition: level }),
    { data: shape, z: shape, level: spec("float32", [x0.shape[0]]) },
  );
  const losses = toFloat64(await compiled({ data: x0, z: noise, level: sigma }));
  await compiled.dispose();
  return [
    ...namedComparer(c)("out.loss_per_sample", losses),
    ...namedComparer(c)("out.loss", [losses.reduce((sum, loss) => sum + loss, 0) / losses.length]),
  ];
}

/** Numbers as 8-bit samples, rounded and cut off. */
function toBytes(c: Case): Comparison[] {
  const expected = c.tensors();
  const numbers = float32Of(c, "in");
  const rows: Tensor<"float32"> = { ...numbers, shape: [1, 1, 1, numbers.data.length] };
  const compare = (name: string, rounding: "nearest" | "truncate"): Comparison => {
    const [{ data }] = tensorToImages(rows, { rounding });
    return compareTensors(
      name,
      { dtype: "uint8", shape: numbers.shape, data: data as Uint8Array },
      expected[name],
      c.json.tolerance,
    );
  };
  return [compare("out.round", "nearest"), compare("out.floor_127_5", "truncate")];
}
