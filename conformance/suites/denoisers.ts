/**
 * k-diffusion's denoisers on closed-form networks: discrete and preconditioned ones with their
 * losses, the log-likelihood of the probability flow, and densities of training noise levels.
 */
import {
  cosineInterpolatedDensity,
  denoiserLogLikelihood,
  denoiserOf,
  denoiserWeight,
  discretePreconditioning,
  discreteSigmasOf,
  type DiscreteSigmas,
  edmPreconditioning,
  levelOf,
  logLogisticDensity,
  logNormalDensity,
  logUniformDensity,
  normalSigmas,
  preconditionedBatch,
  preconditionedLoss,
  type Preconditioning,
  sigmaToTimestep,
  splitLogNormal,
  timestepToSigma,
  vDiffusionDensity,
} from "nijimi/diffusion";
import { add, mul, reshape, spec, type Sym, tanh } from "nijimi/graph";
import { compile } from "nijimi/runtime";
import { float32, type Tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { configNumber, float32Of, namedComparer, numbersOf } from "./named-values.ts";

type F32 = Tensor<"float32">;

const RUNS: Readonly<Record<string, (c: Case) => Comparison[] | Promise<Comparison[]>>> = {
  "k_diffusion.external": discreteDenoisers,
  "k_diffusion.layers.Denoiser": karrasDenoiser,
  "k_diffusion.sampling.log_likelihood": logLikelihood,
  "k_diffusion.utils.rand_*": densities,
};

export const suite: Suite = {
  kind: "denoisers",
  accepts: ({ json }) => Object.hasOwn(RUNS, json.function ?? ""),
  run: async (c) => RUNS[c.json.function!](c),
};

/** output = gain·tanh(x) + slope·cNoise, on the host and as a trace. */
interface ClosedForm {
  readonly gain: number;
  readonly slope: number;
}

/** D(x, σ) of every sample, each at its own level. */
async function denoised(
  preconditioning: Preconditioning,
  { gain, slope }: ClosedForm,
  x: F32,
  sigmas: Float64Array,
): Promise<number[]> {
  const size = x.data.length / sigmas.length;
  const denoise = denoiserOf(
    (seen, cNoise) => ({
      ...seen,
      data: seen.data.map((value) => gain * Math.tanh(value) + slope * cNoise),
    }),
    preconditioning,
  );
  const out: number[] = [];
  for (const [b, sigma] of sigmas.entries()) {
    const sample = float32([1, ...x.shape.slice(1)], x.data.slice(b * size, (b + 1) * size));
    out.push(...(await denoise(sample, sigma, { step: 0 })).denoised.data);
  }
  return out;
}

/** The traced loss of every sample; `weights` per sample. */
async function losses(
  preconditioning: Preconditioning,
  { gain, slope }: ClosedForm,
  x0: F32,
  noise: F32,
  sigmas: Float64Array,
  weights: Float64Array = sigmas.map(() => 1),
): Promise<Float64Array> {
  const shape = spec("float32", x0.shape);
  const column = spec("float32", [sigmas.length]);
  const network = (x: Sym, cNoise: Sym) =>
    add(
      mul(tanh(x), gain),
      mul(reshape(cNoise, [sigmas.length, ...x0.shape.slice(1).map(() => 1)]), slope),
    );
  const compiled = await compile((inputs) => preconditionedLoss({ network, ...inputs }), {
    x0: shape,
    noise: shape,
    weight: column,
    batch: { alpha: column, std: column, cSkip: column, cOut: column, cIn: column, cNoise: column },
  });
  const result = await compiled({
    x0,
    noise,
    weight: float32([sigmas.length], weights),
    batch: preconditionedBatch(preconditioning, sigmas),
  });
  await compiled.dispose();
  return toFloat64(result);
}

async function discreteDenoisers(c: Case): Promise<Comparison[]> {
  const compare = namedComparer(c);
  const table: DiscreteSigmas = discreteSigmasOf(numbersOf(c, "in.alphas_cumprod"));
  const network: ClosedForm = { gain: 1, slope: 1e-4 };
  const [x, noise] = [float32Of(c, "in.x"), float32Of(c, "in.noise")];
  const levels = numbersOf(c, "in.x_sigma");
  const comparisons: Comparison[] = [
    ...compare("out.sigmas", table.sigmas),
    ...compare(
      "out.t_to_sigma",
      numbersOf(c, "in.t").map((t) => timestepToSigma(table, t)),
    ),
    ...compare("out.get_sigmas", normalSigmas(table, configNumber(c, "n"))),
    ...compare("out.get_sigmas_all_first5", normalSigmas(table).slice(0, 5)),
  ];
  for (const [suffix, quantize] of [
    ["q0", false],
    ["q1", true],
  ] as const) {
    const timesteps = numbersOf(c, "in.sigma").map((sigma) =>
      sigmaToTimestep(table, sigma, { quantize }),
    );
    comparisons.push(...compare(`out.${suffix}.sigma_to_t`, timesteps));
    for (const prediction of ["eps", "v"] as const) {
      const preconditioning = discretePreconditioning(table, { prediction, quantize });
      comparisons.push(
        ...compare(
          `out.${prediction}.${suffix}.denoised`,
          await denoised(preconditioning, network, x, levels),
        ),
        ...compare(
          `out.${prediction}.${suffix}.loss`,
          await losses(preconditioning, network, x, noise, levels),
        ),
      );
    }
  }
  return comparisons;
}

async function karrasDenoiser(c: Case): Promise<Comparison[]> {
  const compare = namedComparer(c);
  const sigmaData = configNumber(c, "sigma_data");
  // k-diffusion's Denoiser tells its inner network σ itself.
  const preconditioning: Preconditioning = {
    space: "ve",
    at: (sigma) => ({ ...edmPreconditioning({ sigmaData }).at(sigma), cNoise: sigma }),
  };
  const network: ClosedForm = { gain: 0.7, slope: 0.05 };
  const [x, noise] = [float32Of(c, "in.x"), float32Of(c, "in.noise")];
  const sigmas = numbersOf(c, "in.sigma");
  const size = x.data.length / sigmas.length;
  const noisy = {
    ...x,
    data: x.data.map((value, i) => value + sigmas[Math.floor(i / size)] * noise.data[i]),
  };
  const scalings = Array.from(sigmas, preconditioning.at);
  const comparisons: Comparison[] = [
    ...compare("out.denoised", await denoised(preconditioning, network, noisy, sigmas)),
    ...compare(
      "out.c_skip_out_in",
      (["cSkip", "cOut", "cIn"] as const).flatMap((key) => scalings.map((row) => row[key])),
    ),
  ];
  for (const kind of ["karras", "snr", "soft-min-snr"] as const) {
    const weights = sigmas.map((sigma) => denoiserWeight(kind, sigma, sigmaData));
    comparisons.push(
      ...compare(
        `out.loss.${kind}`,
        await losses(preconditioning, network, x, noise, sigmas, weights),
      ),
    );
  }
  // The simple loss compares ε: ‖ε̂ − ε‖² = ‖D − x0‖²/σ² = ‖F − F*‖²·cOut²/σ².
  const simple = sigmas.map((sigma, b) => (scalings[b].cOut / levelOf("ve", sigma).std) ** 2);
  return [
    ...comparisons,
    ...compare("out.simple_loss", await losses(preconditioning, network, x, noise, sigmas, simple)),
  ];
}

/** D(x, σ) = x·s²/(σ²+s²) + a·sin(x)·σ/(1+σ) with the numbers of the case's formula. */
async function logLikelihood(c: Case): Promise<Comparison[]> {
  const [s, , a] = (String(c.json.config!["denoiser"]).match(/\d+\.\d+/g) ?? []).map(Number);
  const denoise = (x: F32, sigma: number, v: F32) => {
    const linear = s ** 2 / (sigma ** 2 + s ** 2);
    const wave = (a * sigma) / (1 + sigma);
    return {
      value: { ...x, data: x.data.map((value) => linear * value + wave * Math.sin(value)) },
      vjp: { ...x, data: v.data.map((value, i) => value * (linear + wave * Math.cos(x.data[i]))) },
    };
  };
  const { logLikelihood: ll } = await denoiserLogLikelihood({
    denoise,
    x: float32Of(c, "in.x"),
    v: float32Of(c, "in.v"),
    sigmaMin: configNumber(c, "sigma_min"),
    sigmaMax: configNumber(c, "sigma_max"),
    atol: configNumber(c, "atol"),
    rtol: configNumber(c, "rtol"),
  });
  return namedComparer(c)("out.ll", ll);
}

function densities(c: Case): Comparison[] {
  const compare = namedComparer(c);
  return Object.entries(c.json.config!).flatMap(([name, given]) => {
    const p = given as readonly number[];
    const draw = (index: number, kind: string) => numbersOf(c, `in.${name}.draw${index}_${kind}`);
    const out = `out.${name}`;
    switch (name) {
      case "log_normal":
        return compare(out, draw(0, "rand").map(logNormalDensity({ mean: p[0], std: p[1] })));
      case "log_logistic":
        return compare(
          out,
          draw(0, "rand").map(
            logLogisticDensity({ mean: p[0], scale: p[1], min: p[2], max: p[3] }),
          ),
        );
      case "log_uniform":
        return compare(out, draw(0, "rand").map(logUniformDensity({ min: p[0], max: p[1] })));
      case "v_diffusion":
        return compare(
          out,
          draw(0, "rand").map(vDiffusionDensity({ sigmaData: p[0], min: p[1], max: p[2] })),
        );
      case "cosine_interpolated": {
        const [imageSize, noiseLow, noiseHigh, sigmaData, min, max] = p;
        return compare(
          out,
          draw(0, "rand").map(
            cosineInterpolatedDensity({ imageSize, noiseLow, noiseHigh, sigmaData, min, max }),
          ),
        );
      }
      case "split_log_normal": {
        const [mode, stdLow, stdHigh] = p;
        const uniforms = draw(1, "rand");
        return compare(
          out,
          draw(0, "randn").map((z, i) => splitLogNormal(z, uniforms[i], { mode, stdLow, stdHigh })),
        );
      }
      default:
        throw new Error(`unknown density ${name}`);
    }
  });
}
